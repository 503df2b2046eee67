#include "api-server/authz/aggregation.h"

#include <algorithm>
#include <optional>

#include "apimachinery/label_selector.h"

namespace rusternetes::api_server {

namespace rbac = apimachinery::rbac_v1;

namespace {

Result<apimachinery::LabelSelector> selector_of(apimachinery::meta_v1::LabelSelector view) {
  apimachinery::LabelSelectorParts parts;
  for (const auto& [key, value] : view.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto expression : view.matchExpressions()) {
    apimachinery::LabelExpression& out = parts.match_expressions.emplace_back();
    out.key = expression.key();
    out.op = expression.operator_();
    out.values = to_strings(expression.values());
  }
  return apimachinery::LabelSelector::from_parts(&parts);
}

}  // namespace

Result<std::vector<PolicyRule>> aggregate_cluster_roles(rbac::ClusterRole role,
                                                        std::span<const apimachinery::Document> all) {
  std::vector<rbac::ClusterRole> sorted;
  for (const apimachinery::Document& document : all) sorted.emplace_back(&document.root());
  std::sort(sorted.begin(), sorted.end(), [](const rbac::ClusterRole& a, const rbac::ClusterRole& b) {
    return a.metadata().name() < b.metadata().name();
  });

  std::vector<PolicyRule> rules;
  for (const auto view : role.aggregationRule().clusterRoleSelectors()) {
    RN_TRY(const apimachinery::LabelSelector selector, selector_of(view));
    for (const rbac::ClusterRole& candidate : sorted) {
      const auto labels = candidate.metadata().labels();
      const bool is_selected =
          selector.matches([&labels](std::string_view key) -> std::optional<std::string_view> {
            const apimachinery::Value* found = labels.find(key);
            if (!found) return std::nullopt;
            return found->str();
          });
      if (!is_selected || candidate.metadata().name() == role.metadata().name()) continue;
      for (PolicyRule& rule : policy_rules(candidate.rules()))
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(std::move(rule));
    }
  }
  return rules;
}

}  // namespace rusternetes::api_server
