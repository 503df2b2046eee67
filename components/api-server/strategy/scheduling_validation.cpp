// Where a Pod may run: affinity, tolerations, topology spread.

#include <fmt/format.h>

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void check_node_requirement(const core::NodeSelectorRequirement& requirement, bool allow_invalid_values,
                            const FieldPath& path, FieldErrorList& errors) {
  const std::string_view op = requirement.operator_();
  const auto values = requirement.values();
  const FieldPath values_path = path.child("values");
  if (op == "In" || op == "NotIn") {
    if (values.empty())
      errors.push_back(field::required(values_path, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!values.empty())
      errors.push_back(
          field::forbidden(values_path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else if (op == "Gt" || op == "Lt") {
    if (values.size() != 1)
      errors.push_back(
          field::required(values_path, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else {
    errors.push_back(field::invalid(path.child("operator"), op, "not a valid selector operator"));
  }
  check_qualified_name(requirement.key(), path.child("key"), errors);
  if (allow_invalid_values) return;
  std::int64_t i = 0;
  for (const auto value : values) errors.push_invalid(values_path.index(i++), value, is_valid_label_value(value));
}

void check_node_field_requirement(const core::NodeSelectorRequirement& requirement, const FieldPath& path,
                                  FieldErrorList& errors) {
  const std::string_view op = requirement.operator_();
  const FieldPath values_path = path.child("values");
  if (op == "In" || op == "NotIn") {
    if (requirement.values().size() != 1)
      errors.push_back(field::required(
          values_path, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
  } else {
    errors.push_back(field::invalid(path.child("operator"), op, "not a valid selector operator"));
  }
  if (requirement.key() != "metadata.name") {
    errors.push_back(field::invalid(path.child("key"), requirement.key(), "not a valid field selector key"));
    return;
  }
  std::int64_t i = 0;
  for (const auto value : requirement.values()) check_dns_subdomain(value, values_path.index(i++), errors);
}

void check_node_term(const core::NodeSelectorTerm& term, bool allow_invalid_values, const FieldPath& path,
                     FieldErrorList& errors) {
  const FieldPath expressions = path.child("matchExpressions"), fields = path.child("matchFields");
  std::int64_t i = 0;
  for (const auto one : term.matchExpressions())
    check_node_requirement(one, allow_invalid_values, expressions.index(i++), errors);
  i = 0;
  for (const auto one : term.matchFields()) check_node_field_requirement(one, fields.index(i++), errors);
}

void check_weight(std::int64_t weight, const FieldPath& path, FieldErrorList& errors) {
  if (weight <= 0 || weight > 100)
    errors.push_back(field::invalid(path.child("weight"), weight, "must be in the range 1-100"));
}

void check_label_keys(const TextList& keys, const meta_v1::LabelSelector& selector, const FieldPath& path,
                      FieldErrorList& errors) {
  if (keys.empty()) return;
  if (!selector) {
    errors.push_back(field::forbidden(path, "must not be specified when labelSelector is not set"));
    return;
  }
  std::int64_t i = 0;
  for (const auto key : keys) check_qualified_name(key, path.index(i++), errors);
}

// matchLabelKeys and mismatchLabelKeys become part of the selector when the Pod is created, so they may stand there already;
// but not both in matchLabels and matchExpressions.
void check_match_label_keys(const TextList& match, const TextList& mismatch, const meta_v1::LabelSelector& selector,
                            const FieldPath& path, FieldErrorList& errors) {
  if (match.empty() && mismatch.empty()) return;
  check_label_keys(match, selector, path.child("matchLabelKeys"), errors);
  check_label_keys(mismatch, selector, path.child("mismatchLabelKeys"), errors);
  TextSet in_selector;
  for (const auto& [key, value] : selector.matchLabels()) in_selector.insert(key);
  for (const auto expression : selector.matchExpressions()) {
    for (std::size_t i = match.size(); i-- > 0;) {
      if (match[i] != expression.key() || !in_selector.contains(expression.key())) continue;
      errors.push_back(field::invalid(path.index(static_cast<std::int64_t>(i)), expression.key(),
                                      "exists in both matchLabelKeys and labelSelector"));
      break;
    }
    in_selector.insert(expression.key());
  }
  TextSet mismatched;
  for (const auto key : mismatch) mismatched.insert(key);
  const FieldPath list = path.child("matchLabelKeys");
  std::int64_t i = 0;
  for (const auto key : match) {
    if (mismatched.contains(key))
      errors.push_back(field::invalid(list.index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys"));
    ++i;
  }
}

// The older rule: no key may stand in the selector.
void check_match_label_keys_strictly(const core::TopologySpreadConstraint& constraint, const FieldPath& path,
                                     FieldErrorList& errors) {
  const auto keys = constraint.matchLabelKeys();
  const auto selector = constraint.labelSelector();
  if (keys.empty()) return;
  if (!selector) errors.push_back(field::forbidden(path, "must not be specified when labelSelector is not set"));
  TextSet in_selector;
  for (const auto& [key, value] : selector.matchLabels()) in_selector.insert(key);
  for (const auto expression : selector.matchExpressions()) in_selector.insert(expression.key());
  std::int64_t i = 0;
  for (const auto key : keys) {
    check_qualified_name(key, path.index(i), errors);
    if (in_selector.contains(key))
      errors.push_back(field::invalid(path.index(i), key, "exists in both matchLabelKeys and labelSelector"));
    ++i;
  }
}

void check_pod_affinity_term(const core::PodAffinityTerm& term, const FieldPath& path,
                             const PodValidationOptions& options, FieldErrorList& errors) {
  const SelectorOptions selector_options{options.allow_invalid_selector_values};
  check_label_selector(term.labelSelector(), path.child("labelSelector"), errors, selector_options);
  check_label_selector(term.namespaceSelector(), path.child("namespaceSelector"), errors, selector_options);
  for (const auto name : term.namespaces()) check_dns_label(name, path.child("namespace"), errors);
  check_match_label_keys(term.matchLabelKeys(), term.mismatchLabelKeys(), term.labelSelector(), path, errors);
  if (term.topologyKey().empty()) errors.push_back(field::required(path.child("topologyKey"), "can not be empty"));
  check_qualified_name(term.topologyKey(), path.child("topologyKey"), errors);
}

// PodAffinity and PodAntiAffinity.
template <class Affinity>
void check_pod_affinity(const Affinity& affinity, const FieldPath& path, const PodValidationOptions& options,
                        FieldErrorList& errors) {
  if (!affinity) return;
  const FieldPath required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
  const FieldPath preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
  std::int64_t i = 0;
  for (const auto term : affinity.requiredDuringSchedulingIgnoredDuringExecution())
    check_pod_affinity_term(term, required.index(i++), options, errors);
  i = 0;
  for (const auto term : affinity.preferredDuringSchedulingIgnoredDuringExecution()) {
    const FieldPath at = preferred.index(i++);
    check_weight(term.weight(), at, errors);
    check_pod_affinity_term(term.podAffinityTerm(), at.child("podAffinityTerm"), options, errors);
  }
}

template <class Affinity>
bool has_invalid_values(const Affinity& affinity) {
  const auto is_bad = [](const core::PodAffinityTerm& term) {
    return has_invalid_label_values(term.labelSelector()) || has_invalid_label_values(term.namespaceSelector());
  };
  for (const auto term : affinity.requiredDuringSchedulingIgnoredDuringExecution())
    if (is_bad(term)) return true;
  for (const auto term : affinity.preferredDuringSchedulingIgnoredDuringExecution())
    if (is_bad(term.podAffinityTerm())) return true;
  return false;
}

void check_toleration(const core::Toleration& toleration, const FieldPath& path, const PodValidationOptions& options,
                      FieldErrorList& errors) {
  const std::string_view key = toleration.key(), op = toleration.operator_(), value = toleration.value_();
  const FieldPath op_path = path.child("operator");
  if (!key.empty()) check_qualified_name(key, path.child("key"), errors);
  if (key.empty() && op != "Exists")
    errors.push_back(field::invalid(
        op_path, op, "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
  if (toleration.has_tolerationSeconds() && toleration.effect() != "NoExecute")
    errors.push_back(field::invalid(path.child("effect"), toleration.effect(),
                                    "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  if (op.empty() || op == "Equal") {
    const auto problems = is_valid_label_value(value);
    std::string joined;
    for (const auto& problem : problems) joined += (joined.empty() ? "" : ";") + problem;
    if (!problems.empty()) errors.push_back(field::invalid(op_path, value, joined));
  } else if (op == "Exists") {
    if (!value.empty())
      errors.push_back(field::invalid(op_path, value, "value must be empty when `operator` is 'Exists'"));
  } else if (op == "Lt" || op == "Gt") {
    if (!options.allow_comparing_tolerations)
      errors.push_back(field::not_supported(op_path, op, {"Equal", "Exists", "Lt", "Gt"}));
    else
      errors.push_invalid(path.child("value"), value, is_decimal_integer(value));
  } else {
    errors.push_back(field::not_supported(op_path, op, {"Equal", "Exists"}));
  }
  if (!toleration.effect().empty()) validate_taint_effect(toleration.effect(), true, path.child("effect"), errors);
}

void check_spread_constraint(const core::TopologySpreadConstraint& constraint, const FieldPath& path,
                             const PodValidationOptions& options, FieldErrorList& errors) {
  if (constraint.has_minDomains()) {
    check_positive(constraint.minDomains(), path.child("minDomains"), errors);
    if (constraint.whenUnsatisfiable() != "DoNotSchedule")
      errors.push_back(field::invalid(path.child("minDomains"), constraint.minDomains(),
                                      fmt::format("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                                                  constraint.whenUnsatisfiable())));
  }
  if (constraint.has_nodeAffinityPolicy())
    check_supported(constraint.nodeAffinityPolicy(), path.child("nodeAffinityPolicy"), {"Honor", "Ignore"}, errors);
  if (constraint.has_nodeTaintsPolicy())
    check_supported(constraint.nodeTaintsPolicy(), path.child("nodeTaintsPolicy"), {"Honor", "Ignore"}, errors);
  if (options.allow_invalid_match_label_keys)
    check_match_label_keys_strictly(constraint, path.child("matchLabelKeys"), errors);
  else
    check_match_label_keys(constraint.matchLabelKeys(), {}, constraint.labelSelector(), path, errors);
  if (!options.allow_invalid_spread_selectors)
    check_label_selector(constraint.labelSelector(), path.child("labelSelector"), errors);
}

}  // namespace

void validate_node_selector(const core::NodeSelector& selector, bool allow_invalid_values, const FieldPath& path,
                            FieldErrorList& errors) {
  const FieldPath terms = path.child("nodeSelectorTerms");
  if (selector.nodeSelectorTerms().empty()) {
    errors.push_back(field::required(terms, "must have at least one node selector term"));
    return;
  }
  std::int64_t i = 0;
  for (const auto term : selector.nodeSelectorTerms()) check_node_term(term, allow_invalid_values, terms.index(i++), errors);
}

void validate_affinity(const core::Affinity& affinity, const FieldPath& path, const PodValidationOptions& options,
                       FieldErrorList& errors) {
  if (!affinity) return;
  if (const auto node = affinity.nodeAffinity()) {
    const FieldPath at = path.child("nodeAffinity");
    if (const auto required = node.requiredDuringSchedulingIgnoredDuringExecution())
      validate_node_selector(required, options.allow_invalid_node_affinity_values,
                             at.child("requiredDuringSchedulingIgnoredDuringExecution"), errors);
    const FieldPath preferred = at.child("preferredDuringSchedulingIgnoredDuringExecution");
    std::int64_t i = 0;
    for (const auto term : node.preferredDuringSchedulingIgnoredDuringExecution()) {
      const FieldPath item = preferred.index(i++);
      check_weight(term.weight(), item, errors);
      check_node_term(term.preference(), true, item.child("preference"), errors);
    }
  }
  check_pod_affinity(affinity.podAffinity(), path.child("podAffinity"), options, errors);
  check_pod_affinity(affinity.podAntiAffinity(), path.child("podAntiAffinity"), options, errors);
}

bool has_invalid_affinity_selector_values(const core::PodSpec& spec) {
  const auto affinity = spec.affinity();
  return has_invalid_values(affinity.podAffinity()) || has_invalid_values(affinity.podAntiAffinity());
}

void validate_taint_effect(std::string_view effect, bool allow_empty, const FieldPath& path, FieldErrorList& errors) {
  if (!allow_empty && effect.empty())
    errors.push_back(field::required(path));
  else
    check_supported(effect, path, {"NoSchedule", "PreferNoSchedule", "NoExecute"}, errors);
}

void validate_tolerations(const ListView<core::Toleration>& tolerations, const FieldPath& path,
                          const PodValidationOptions& options, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto toleration : tolerations) check_toleration(toleration, path.index(i++), options, errors);
}

void validate_topology_spread(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                              FieldErrorList& errors) {
  const auto constraints = spec.topologySpreadConstraints();
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    const auto constraint = constraints[i];
    const FieldPath at = path.index(static_cast<std::int64_t>(i));
    check_positive(constraint.maxSkew(), at.child("maxSkew"), errors);
    if (constraint.topologyKey().empty())
      errors.push_back(field::required(at.child("topologyKey"), "can not be empty"));
    check_supported(constraint.whenUnsatisfiable(), at.child("whenUnsatisfiable"), {"DoNotSchedule", "ScheduleAnyway"},
                    errors);
    for (std::size_t n = i + 1; n < constraints.size(); ++n)
      if (constraints[n].topologyKey() == constraint.topologyKey() &&
          constraints[n].whenUnsatisfiable() == constraint.whenUnsatisfiable()) {
        errors.push_back(field::duplicate(at.child("{topologyKey, whenUnsatisfiable}"),
            fmt::format("{{{}, {}}}", constraint.topologyKey(), constraint.whenUnsatisfiable())));
        break;
      }
    check_spread_constraint(constraint, at, options, errors);
  }
}

bool has_invalid_match_label_keys(const core::PodSpec& spec) {
  FieldErrorList errors;
  for (const auto constraint : spec.topologySpreadConstraints())
    check_match_label_keys(constraint.matchLabelKeys(), {}, constraint.labelSelector(), FieldPath(), errors);
  return !errors.empty();
}

}  // namespace rusternetes::api_server
