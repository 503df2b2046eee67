#pragma once
// RBAC. A request is allowed by the first rule that a binding gives to its user or one of the user's groups;
// nothing is ever denied. Aggregated ClusterRoles are taken as they are: a controller fills their rules
// (aggregation.h).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/authz/generation_cache.h"
#include "api-server/authz/rbac_index.h"
#include "api-server/authz/rule_resolver.h"

namespace rusternetes::api_server {

class RbacAuthorizer final : public Authorizer, public RuleResolver {
 public:
  // `source` outlives the authorizer.
  explicit RbacAuthorizer(const ObjectSource& source);

  Verdict authorize(const Attributes& attributes) const override;
  ResolvedRules rules_for(const User& user, std::string_view name_space) const override;

  // Every rule of the user, each binding's once, and what could not be resolved.
  struct Holdings {
    std::vector<PolicyRule> rules;
    std::string error;
  };
  Holdings holdings(const User& user, std::string_view name_space) const;

  // The rules that a roleRef names, for a binding in `binding_namespace` (empty for a ClusterRoleBinding).
  // NotFound when there is no such role.
  Result<std::vector<PolicyRule>> role_reference_rules(std::string_view kind, std::string_view name,
                                                       std::string_view binding_namespace) const;

 private:
  std::shared_ptr<const RbacIndex> index() const;
  const ObjectSource& source_;
  GenerationCache<RbacIndex, 4> cache_;
};

// Errors as Kubernetes aggregates them: each once, alone or as `[a, b]`.
std::string aggregate_errors(std::vector<std::string> errors);

}  // namespace rusternetes::api_server
