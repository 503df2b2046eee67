// What may change in a Pod that exists.

#include <fmt/format.h>

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_annotations.h"
#include "api-server/strategy/pod_resources.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::PodSpec;

namespace {

BadValue shown(const Value* value, const Type& type) {
  std::string json = "null";
  if (value) {
    json.clear();
    encode_json(json, *value, type);
  }
  return BadValue::json(std::move(json));
}

// False when the lists cannot be compared item by item.
bool check_container_updates(const ListView<Container>& now, const ListView<Container>& then, const FieldPath& path,
                             FieldErrorList& errors) {
  if (now.size() != then.size()) {
    errors.push_back(field::forbidden(path, "pod updates may not add or remove containers"));
    return false;
  }
  std::int64_t i = 0;
  for (const auto container : now) check_required(container.image(), path.index(i++).child("image"), errors);
  return true;
}

void check_deadline(const PodSpec& now, const PodSpec& then, const FieldPath& path, FieldErrorList& errors) {
  if (!now.has_activeDeadlineSeconds()) {
    if (then.has_activeDeadlineSeconds())
      errors.push_back(field::invalid(path, nullptr, "must not update from a positive integer to nil value"));
    return;
  }
  const std::int64_t seconds = now.activeDeadlineSeconds();
  if (seconds < 0 || seconds > max_int32)
    errors.push_back(field::invalid(path, seconds, inclusive_range_message(0, max_int32)));
  if (then.has_activeDeadlineSeconds() && then.activeDeadlineSeconds() < seconds)
    errors.push_back(field::invalid(path, seconds, "must be less than or equal to previous value"));
}

bool is_same_toleration(const core::Toleration& a, const core::Toleration& b) {
  return a.key() == b.key() && a.operator_() == b.operator_() && a.value_() == b.value_() && a.effect() == b.effect();
}

void check_tolerations(const PodSpec& now, const PodSpec& then, const FieldPath& path,
                       const PodValidationOptions& options, FieldErrorList& errors) {
  for (const auto old : then.tolerations()) {
    bool is_kept = false;
    for (const auto one : now.tolerations()) is_kept |= is_same_toleration(one, old);
    if (!is_kept)
      errors.push_back(field::forbidden(path, "existing toleration can not be modified except its tolerationSeconds"));
  }
  validate_tolerations(now.tolerations(), path, options, errors);
}

void check_scheduling_gates(const PodSpec& now, const PodSpec& then, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = -1;
  for (const auto gate : now.schedulingGates()) {
    ++i;
    bool is_old = false;
    for (const auto old : then.schedulingGates()) is_old |= old.name() == gate.name();
    if (!is_old)
      errors.push_back(field::forbidden(path.index(i).child("name"),
          fmt::format("only deletion is allowed, but found new scheduling gate '{}'", gate.name())));
  }
}

template <class List>
bool begins_with(const List& now, const List& then) {
  if (now.size() < then.size()) return false;
  for (std::size_t i = 0; i < then.size(); ++i)
    if (!equal(*now[i].value(), *then[i].value())) return false;
  return true;
}

bool has_only_additions(const core::NodeSelectorTerm& now, const core::NodeSelectorTerm& then) {
  const bool was_empty = then.matchExpressions().empty() && then.matchFields().empty();
  if (was_empty && (!now.matchExpressions().empty() || !now.matchFields().empty())) return false;
  return begins_with(now.matchExpressions(), then.matchExpressions()) && begins_with(now.matchFields(), then.matchFields());
}

// A Pod that is not to be scheduled yet may be told more narrowly where it runs (KEP 3838).
void check_node_affinity_mutation(const core::NodeAffinity& now, const core::NodeAffinity& then, const FieldPath& path,
                                  FieldErrorList& errors) {
  const auto old_required = then.requiredDuringSchedulingIgnoredDuringExecution();
  if (!old_required) return;
  const auto old_terms = old_required.nodeSelectorTerms();
  const auto required = now.requiredDuringSchedulingIgnoredDuringExecution();
  const auto terms = required.nodeSelectorTerms();
  const FieldPath required_path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
  const FieldPath terms_path = required_path.child("nodeSelectorTerms");
  if (!old_terms.empty() && old_terms.size() != terms.size()) {
    errors.push_back(field::invalid(terms_path, shown(required.value(), core::NodeSelector::schema_type()),
                                    "no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
    return;
  }
  for (std::size_t i = 0; i < old_terms.size(); ++i)
    if (!has_only_additions(terms[i], old_terms[i]))
      errors.push_back(field::invalid(terms_path.index(static_cast<std::int64_t>(i)), shown(terms[i].value(), core::NodeSelectorTerm::schema_type()),
                                      "only additions are allowed (no mutations or deletions)"));
}

void allow_gated_changes(Arena& arena, Value& munged, const PodSpec& now, const PodSpec& then, const FieldPath& path,
                         FieldErrorList& errors) {
  if (!is_same(now.value()->get(PodSpec::f_nodeSelector), then.value()->get(PodSpec::f_nodeSelector))) {
    for (const auto& [key, value] : then.nodeSelector())
      if (const Value* current = now.nodeSelector().find(key); !current || current->str() != value)
        errors.push_back(field::invalid(path.child("nodeSelector"), BadValue::json(labels_json(now.nodeSelector())),
                                        "only additions to spec.nodeSelector are allowed (no mutations or deletions)"));
    take_field(arena, munged, *then.value(), PodSpec::f_nodeSelector);
  }
  const auto affinity = now.affinity(), old_affinity = then.affinity();
  if (is_same(affinity.nodeAffinity().value(), old_affinity.nodeAffinity().value())) return;
  const FieldPath affinity_path = path.child("affinity");
  check_node_affinity_mutation(affinity.nodeAffinity(), old_affinity.nodeAffinity(), affinity_path.child("nodeAffinity"), errors);
  if (affinity && !old_affinity && !affinity.podAffinity() && !affinity.podAntiAffinity()) {
    erase_field(munged, PodSpec::f_affinity);
    return;
  }
  Value changed = affinity ? copy_level(arena, *affinity.value()) : Value::empty(ValueKind::structure);
  if (old_affinity)
    take_field(arena, changed, *old_affinity.value(), core::Affinity::f_nodeAffinity);
  else
    erase_field(changed, core::Affinity::f_nodeAffinity);
  assign(set_field(arena, munged, PodSpec::f_affinity), changed);
}

void keep_images(Arena& arena, Value& munged, const Value& then, int list_field) {
  Value* list = munged.get(list_field);
  const Value* old = then.get(list_field);
  if (!list || !old) return;
  assign(*list, copy_level(arena, *list));
  for (std::uint32_t i = 0; i < list->size; ++i) {
    list->items[i] = copy_level(arena, list->items[i]);
    take_field(arena, list->items[i], old->items[i], Container::f_image);
  }
}

std::string changed_fields(const Value& now, const Value& then) {
  std::string out;
  const auto& fields = PodSpec::schema_type().fields;
  for (std::size_t i = 0; i < fields.size(); ++i)
    if (!is_same_loosely(now.get(static_cast<int>(i)), then.get(static_cast<int>(i))))
      out += fmt::format("{}spec.{}", out.empty() ? "" : ", ", fields[i].name);
  return out;
}

void check_fixed_fields(const PodSpec& now, const PodSpec& then, const FieldPath& path, FieldErrorList& errors) {
  Arena arena;
  Value munged = copy_level(arena, *now.value());
  const Value& old = *then.value();
  keep_images(arena, munged, old, PodSpec::f_containers);
  keep_images(arena, munged, old, PodSpec::f_initContainers);
  for (const int kept : {PodSpec::f_activeDeadlineSeconds, PodSpec::f_schedulingGates, PodSpec::f_tolerations})
    take_field(arena, munged, old, kept);
  if (then.terminationGracePeriodSeconds() < 0 && now.terminationGracePeriodSeconds() == 1)
    take_field(arena, munged, old, PodSpec::f_terminationGracePeriodSeconds);
  if (!then.schedulingGates().empty()) allow_gated_changes(arena, munged, now, then, path, errors);
  const std::string changed = changed_fields(munged, old);
  if (!changed.empty())
    errors.push_back(field::forbidden(path, fmt::format(
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\nchanged: {}", changed)));
}

}  // namespace

PodValidationOptions pod_update_options(const PodSpec& old, const TextMap& old_annotations) {
  PodValidationOptions out;
  out.allow_indivisible_huge_pages = uses_indivisible_huge_pages(old);
  out.allow_invalid_selector_values = has_invalid_affinity_selector_values(old);
  if (const auto required = old.affinity().nodeAffinity().requiredDuringSchedulingIgnoredDuringExecution())
    for (const auto term : required.nodeSelectorTerms())
      for (const auto expression : term.matchExpressions())
        for (const auto value : expression.values())
          out.allow_invalid_node_affinity_values |= !is_valid_label_value(value).empty();
  for (const auto constraint : old.topologySpreadConstraints()) {
    FieldErrorList errors;
    check_label_selector(constraint.labelSelector(), FieldPath(), errors);
    out.allow_invalid_spread_selectors |= !errors.empty();
  }
  out.allow_invalid_match_label_keys = has_invalid_match_label_keys(old);
  for (const auto volume : old.volumes())
    for (const auto source : volume.projected().sources())
      if (const auto token = source.serviceAccountToken()) {
        FieldErrorList errors;
        validate_local_descending_path(token.path(), FieldPath(), errors);
        out.allow_any_token_path |= !errors.empty() || token.path().starts_with("..");
      }
  for (const auto sysctl : old.securityContext().sysctls())
    out.allow_sysctls_of_host_namespaces |= is_sysctl_of_host_namespace(sysctl.name(), old);
  out.allow_any_selinux_change_policy = old.securityContext().has_seLinuxChangePolicy();
  const bool has_user_namespace = old.has_hostUsers() && !old.hostUsers();
  out.allow_host_network_in_user_namespace = has_user_namespace && old.hostNetwork();
  const FieldPath path("spec");
  each_container(old, path, [&](const Container& container, const FieldPath&) {
    out.allow_devices_in_user_namespace |= has_user_namespace && !container.volumeDevices().empty();
    for (const auto rule : container.restartPolicyRules())
      out.allow_restart_all_containers |= rule.action() == "RestartAllContainers";
    return true;
  });
  for (const auto toleration : old.tolerations())
    out.allow_comparing_tolerations |= toleration.operator_() == "Lt" || toleration.operator_() == "Gt";
  if (const Value* cost = old_annotations.find(deletion_cost_annotation))
    out.allow_invalid_deletion_cost = !is_valid_deletion_cost(cost->str());
  return out;
}

void validate_pod_update(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                         FieldErrorList& errors) {
  const FieldPath metadata("metadata"), path("spec");
  const PodSpec now = pod.spec(), then = old.spec();
  validate_pod(pod, options, errors);
  validate_pod_annotation_updates(pod, old, metadata.child("annotations"), errors);
  if (!check_container_updates(now.containers(), then.containers(), path.child("containers"), errors)) return;
  if (!check_container_updates(now.initContainers(), then.initContainers(), path.child("initContainers"), errors)) return;
  check_deadline(now, then, path.child("activeDeadlineSeconds"), errors);
  check_tolerations(now, then, path.child("tolerations"), options, errors);
  check_scheduling_gates(now, then, path.child("schedulingGates"), errors);
  if (!equal(*now.value(), *then.value())) check_fixed_fields(now, then, path, errors);
}

void validate_ephemeral_containers_update(const core::Pod& pod, const core::Pod& old,
                                          const PodValidationOptions& options, FieldErrorList& errors) {
  if (old.metadata().annotations().contains(mirror_pod_annotation)) {
    errors.push_back(field::forbidden(FieldPath(""), "static pods do not support ephemeral containers"));
    return;
  }
  const FieldPath metadata("metadata"), spec("spec"), path = spec.child("ephemeralContainers");
  validate_pod(pod, options, errors);
  validate_pod_annotation_updates(pod, old, metadata.child("annotations"), errors);
  for (const auto before : old.spec().ephemeralContainers()) {
    const Value* now = nullptr;
    for (const auto one : pod.spec().ephemeralContainers())
      if (one.name() == before.name()) now = one.value();
    if (!now)
      errors.push_back(field::forbidden(path, fmt::format("existing ephemeral containers \"{}\" may not be removed\n", before.name())));
    else if (!equal(*now, *before.value()))
      errors.push_back(field::forbidden(path, fmt::format("existing ephemeral containers \"{}\" may not be changed\n", before.name())));
  }
}

}  // namespace rusternetes::api_server
