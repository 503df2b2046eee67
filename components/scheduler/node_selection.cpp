#include "scheduler/node_selection.h"

#include <charconv>
#include <optional>

namespace rusternetes::scheduler {

using namespace apimachinery;

bool tolerates(const core_v1::Toleration& toleration, const core_v1::Taint& taint) {
  if (!toleration.effect().empty() && toleration.effect() != taint.effect()) return false;
  if (!toleration.key().empty() && toleration.key() != taint.key()) return false;
  if (toleration.operator_() == "Exists") return true;
  if (toleration.key().empty()) return false;
  return (toleration.operator_().empty() || toleration.operator_() == "Equal") && toleration.value_() == taint.value_();
}

namespace {

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

bool holds(const core_v1::NodeSelectorRequirement& requirement, std::optional<std::string_view> value) {
  const auto op = requirement.operator_();
  auto is_listed = [&] {
    for (const auto one : requirement.values())
      if (value && *value == one) return true;
    return false;
  };
  if (op == "In") return is_listed();
  if (op == "NotIn") return !is_listed();
  if (op == "Exists") return value.has_value();
  if (op == "DoesNotExist") return !value.has_value();
  if ((op == "Gt" || op == "Lt") && value && requirement.values().size() == 1) {
    const auto left = number(*value), right = number(requirement.values()[0]);
    return left && right && (op == "Gt" ? *left > *right : *left < *right);
  }
  return false;
}

}  // namespace

bool matches_term(const core_v1::NodeSelectorTerm& term, const core_v1::Node& node) {
  if (term.matchExpressions().empty() && term.matchFields().empty()) return false;  // an empty term matches nothing
  const auto labels = node.metadata().labels();
  for (const auto requirement : term.matchExpressions()) {
    const Value* value = labels.find(requirement.key());
    if (!holds(requirement, value ? std::optional(value->str()) : std::nullopt)) return false;
  }
  for (const auto requirement : term.matchFields())
    if (requirement.key() != "metadata.name" || !holds(requirement, node.metadata().name())) return false;
  return true;
}

bool matches_node(const core_v1::Pod& pod, const core_v1::Node& node) {
  for (const auto& [key, value] : pod.spec().nodeSelector()) {
    const Value* label = node.metadata().labels().find(key);
    if (!label || label->str() != value) return false;
  }
  const auto required = pod.spec().affinity().nodeAffinity().requiredDuringSchedulingIgnoredDuringExecution();
  if (!required) return true;
  for (const auto term : required.nodeSelectorTerms())
    if (matches_term(term, node)) return true;
  return false;
}

}  // namespace rusternetes::scheduler
