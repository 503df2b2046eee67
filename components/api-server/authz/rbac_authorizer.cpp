#include "api-server/authz/rbac_authorizer.h"

#include <algorithm>
#include <set>

#include "apimachinery/errors.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

std::string aggregate_errors(std::vector<std::string> errors) {
  std::set<std::string_view> seen;
  std::string joined;
  for (const std::string& error : errors) {
    if (error.empty() || !seen.insert(error).second) continue;
    if (!joined.empty()) joined += ", ";
    joined += error;
  }
  return seen.size() > 1 ? "[" + joined + "]" : joined;
}

RbacAuthorizer::RbacAuthorizer(const ObjectSource& source)
    : source_(source),
      cache_(source, {{{rbac_group, "clusterroles"},
                       {rbac_group, "clusterrolebindings"},
                       {rbac_group, "roles"},
                       {rbac_group, "rolebindings"}}}) {}

std::shared_ptr<const RbacIndex> RbacAuthorizer::index() const {
  return cache_.get([this](std::shared_ptr<const RbacIndex> previous) {
    return RbacIndex::build(source_, previous.get());
  });
}

Verdict RbacAuthorizer::authorize(const Attributes& attributes) const {
  const std::shared_ptr<const RbacIndex> index = this->index();
  const RuleQuery query(attributes);
  Verdict verdict;
  std::vector<std::string> missing;
  index->visit(attributes.user, attributes.name_space, [&](const RbacGrant& grant) {
    if (!grant.role) {
      missing.push_back(*grant.missing);
      return true;
    }
    for (const PolicyRule& rule : grant.role->rules)
      if (rule_allows(rule, query)) {
        verdict.decision = Decision::allow;
        verdict.reason = "RBAC: allowed by " + *grant.source;
        return false;
      }
    return true;
  });
  if (verdict.decision != Decision::allow && !missing.empty())
    verdict.reason = "RBAC: " + aggregate_errors(std::move(missing));
  return verdict;
}

RbacAuthorizer::Holdings RbacAuthorizer::holdings(const User& user, std::string_view name_space) const {
  const std::shared_ptr<const RbacIndex> index = this->index();
  std::vector<RbacGrant> grants;
  index->visit(user, name_space, [&](const RbacGrant& grant) {
    grants.push_back(grant);
    return true;
  });
  // A binding that applies for several reasons counts once.
  std::stable_sort(grants.begin(), grants.end(),
                   [](const RbacGrant& a, const RbacGrant& b) { return a.order < b.order; });
  grants.erase(std::unique(grants.begin(), grants.end(),
                           [](const RbacGrant& a, const RbacGrant& b) { return a.order == b.order; }),
               grants.end());

  Holdings held;
  std::vector<std::string> missing;
  for (const RbacGrant& grant : grants) {
    if (grant.role)
      held.rules.insert(held.rules.end(), grant.role->rules.begin(), grant.role->rules.end());
    else
      missing.push_back(*grant.missing);
  }
  held.error = aggregate_errors(std::move(missing));
  return held;
}

ResolvedRules RbacAuthorizer::rules_for(const User& user, std::string_view name_space) const {
  Holdings held = holdings(user, name_space);
  ResolvedRules out;
  for (PolicyRule& rule : held.rules) {
    if (!rule.resources.empty())
      out.resource_rules.push_back({rule.verbs, rule.api_groups, rule.resources, rule.resource_names, {}});
    if (!rule.non_resource_urls.empty())
      out.non_resource_rules.push_back({rule.verbs, {}, {}, {}, rule.non_resource_urls});
  }
  out.error = std::move(held.error);
  return out;
}

Result<std::vector<PolicyRule>> RbacAuthorizer::role_reference_rules(
    std::string_view kind, std::string_view name, std::string_view binding_namespace) const {
  const bool is_cluster_role = kind == "ClusterRole";
  if (!is_cluster_role && kind != "Role")
    return internal_error("unsupported role reference kind: " + apimachinery::quote(kind));
  const std::shared_ptr<const RbacIndex> index = this->index();
  const RbacRole* role = nullptr;
  if (is_cluster_role || !binding_namespace.empty())
    role = index->find_role(is_cluster_role ? std::string_view{} : binding_namespace, name);
  if (!role) return apimachinery::not_found({rbac_group, is_cluster_role ? "clusterroles" : "roles"}, name);
  return role->rules;
}

}  // namespace rusternetes::api_server
