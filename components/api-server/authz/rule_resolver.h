#pragma once
// Authorizers that can list what a user may do, for SelfSubjectRulesReview (`kubectl auth can-i --list`).

#include <string>
#include <string_view>
#include <vector>

#include "api-server/authz/policy_rule.h"
#include "api-server/request_context.h"

namespace rusternetes::api_server {

struct ResolvedRules {
  std::vector<PolicyRule> resource_rules, non_resource_rules;
  bool is_incomplete = false;
  std::string error;  // what could not be resolved
};

class RuleResolver {
 public:
  virtual ~RuleResolver() = default;
  // In `name_space`, and in the cluster as a whole. Thread-safe.
  virtual ResolvedRules rules_for(const User& user, std::string_view name_space) const = 0;
};

}  // namespace rusternetes::api_server
