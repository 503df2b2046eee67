#pragma once
// Nobody hands out more than they hold: who writes a role or a binding must hold every permission in it,
// unless they are allowed to `escalate` the role or to `bind` it, or are in system:masters.

#include <span>
#include <string_view>

#include "api-server/authorizer.h"
#include "api-server/authz/policy_rule.h"
#include "api-server/authz/rbac_authorizer.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::api_server {

// An InternalError whose message is what the refusal says, if `rules` are not all held by the user in
// `name_space`: `user "x" (groups=["g"]) is attempting to grant RBAC permissions not currently held:` and the
// missing rules.
Result<> confirm_no_escalation(const RbacAuthorizer& rbac, const User& user, std::string_view name_space,
                               std::span<const PolicyRule> rules);

// What a write of an RBAC object is checked with. Everything outlives the call.
struct RbacWrite {
  const RbacAuthorizer& rbac;
  const Authorizer& authorizer;  // the whole chain, asked about `escalate` and `bind`
  const User& user;
  std::string_view name_space;  // empty for cluster-wide kinds
  std::string_view name;        // of the request's URL; empty at creation
};
// `old` is null at creation. The values are of rbac.authorization.k8s.io/v1. Forbidden, NotFound, or success.
Result<> check_role_write(const RbacWrite& write, const apimachinery::Value& role,
                          const apimachinery::Value* old);
Result<> check_cluster_role_write(const RbacWrite& write, const apimachinery::Value& role,
                                  const apimachinery::Value* old);
Result<> check_role_binding_write(const RbacWrite& write, const apimachinery::Value& binding,
                                  const apimachinery::Value* old);
Result<> check_cluster_role_binding_write(const RbacWrite& write, const apimachinery::Value& binding,
                                          const apimachinery::Value* old);

}  // namespace rusternetes::api_server
