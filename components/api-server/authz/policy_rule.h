#pragma once
// What an RBAC rule says, and the three questions asked of rules: does it allow a request, does one set of
// rules cover another (so that nobody hands out more than they hold), and how is a rule shown in an error.
// The semantics are those of rbac.authorization.k8s.io/v1: `*` anywhere, `*/scale` for a subresource of every
// resource, a trailing `*` in URLs.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/request_context.h"
#include "apimachinery/api/rbac_v1.h"

namespace rusternetes::api_server {

struct PolicyRule {
  std::vector<std::string> verbs, api_groups, resources, resource_names, non_resource_urls;
  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

std::vector<std::string> to_strings(apimachinery::ListView<std::string_view> views);
PolicyRule policy_rule(apimachinery::rbac_v1::PolicyRule view);
std::vector<PolicyRule> policy_rules(apimachinery::ListView<apimachinery::rbac_v1::PolicyRule> views);

// The allocation-free form that decisions use: the request's own strings, with `resource/subresource` joined
// once.
struct RuleQuery {
  explicit RuleQuery(const Attributes& attributes);
  const Attributes& attributes;
  std::string joined;                  // storage of `combined_resource` when there is a subresource
  std::string_view combined_resource;  // "pods" or "pods/log"
};
bool rule_allows(const PolicyRule& rule, const RuleQuery& query);
bool rules_allow(std::span<const PolicyRule> rules, const Attributes& attributes);

// The parts of `wanted`, broken down to one group, resource, verb and name (or URL and verb) each, that no
// rule of `held` covers on its own. Empty: everything is covered.
std::vector<PolicyRule> uncovered_rules(std::span<const PolicyRule> held, std::span<const PolicyRule> wanted);

// Joins rules that differ in nothing but the verbs.
std::vector<PolicyRule> compact_rules(std::span<const PolicyRule> rules);
// `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, as errors show a rule.
std::string describe_rule(const PolicyRule& rule);

// A list as Go's %q prints a []string: `["a" "b"]`.
std::string quote_list(std::span<const std::string> texts);

}  // namespace rusternetes::api_server
