#include "scheduler/pod_selection.h"

#include <algorithm>

namespace rusternetes::scheduler {

using namespace apimachinery;
using core_v1::Pod;

LabelSelector selector_of(const meta_v1::LabelSelector& selector) {
  if (!selector) return LabelSelector::nothing();
  LabelSelectorParts parts;
  for (const auto& [key, value] : selector.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto expression : selector.matchExpressions()) {
    LabelExpression one{std::string(expression.key()), std::string(expression.operator_()), {}};
    for (const auto value : expression.values()) one.values.emplace_back(value);
    parts.match_expressions.push_back(std::move(one));
  }
  auto built = LabelSelector::from_parts(&parts);
  return built ? *std::move(built) : LabelSelector::nothing();
}

void add_label_keys(LabelSelector& selector, SelectorOperator op, const ListView<std::string_view>& keys,
                    const Labels& own) {
  if (selector.selects_nothing()) return;
  for (const auto key : keys) {
    const Value* value = own.find(key);
    if (!value) continue;
    const auto& there = selector.requirements();
    const bool is_merged = std::any_of(there.begin(), there.end(), [&](const LabelRequirement& one) {
      return one.key == key && one.op == op;
    });
    if (!is_merged) selector.add({std::string(key), op, {std::string(value->str())}});
  }
}

bool matches(const LabelSelector& selector, const Labels& labels) {
  return selector.matches([&](std::string_view key) -> std::optional<std::string_view> {
    const Value* value = labels.find(key);
    return value ? std::optional(value->str()) : std::nullopt;
  });
}

bool AffinityTerm::matches(const Pod& pod, const Labels& labels_of_its_namespace) const {
  if (!scheduler::matches(selector, pod.metadata().labels())) return false;
  return namespaces.contains(pod.metadata().namespace_()) ||
         scheduler::matches(namespace_selector, labels_of_its_namespace);
}

namespace {

std::vector<AffinityTerm> terms_of(const ListView<core_v1::PodAffinityTerm>& terms, const Pod& owner) {
  std::vector<AffinityTerm> out;
  const Labels own = owner.metadata().labels();
  for (const auto term : terms) {
    AffinityTerm& one = out.emplace_back();
    for (const auto name : term.namespaces()) one.namespaces.emplace(name);
    if (one.namespaces.empty() && !term.has_namespaceSelector())
      one.namespaces.emplace(owner.metadata().namespace_());
    one.namespace_selector = selector_of(term.namespaceSelector());
    one.selector = selector_of(term.labelSelector());
    add_label_keys(one.selector, SelectorOperator::in, term.matchLabelKeys(), own);
    add_label_keys(one.selector, SelectorOperator::not_in, term.mismatchLabelKeys(), own);
    one.topology_key = std::string(term.topologyKey());
  }
  return out;
}

}  // namespace

std::vector<AffinityTerm> required_affinity(const Pod& owner) {
  return terms_of(owner.spec().affinity().podAffinity().requiredDuringSchedulingIgnoredDuringExecution(),
                  owner);
}
std::vector<AffinityTerm> required_anti_affinity(const Pod& owner) {
  return terms_of(owner.spec().affinity().podAntiAffinity().requiredDuringSchedulingIgnoredDuringExecution(),
                  owner);
}

}  // namespace rusternetes::scheduler
