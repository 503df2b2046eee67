#include "api-server/strategy/pod_preparation.h"

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_annotations.h"
#include "api-server/strategy/pod_defaults.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::Pod;
using core_v1::PodSpec;

namespace {

constexpr std::array<int, 3> container_lists{PodSpec::f_initContainers, PodSpec::f_containers,
                                             PodSpec::f_ephemeralContainers};

bool uses_projection(const PodSpec& spec, int source) {
  for (const auto volume : spec.volumes())
    for (const auto one : volume.projected().sources())
      if (one.value()->get(source)) return true;
  return false;
}

void drop_projection(Value& spec, const PodSpec& old, int source) {
  if (!uses_projection(PodSpec(&spec), source) || uses_projection(old, source)) return;
  each_item(spec, PodSpec::f_volumes, [&](Value& volume) {
    if (Value* projected = volume.get(core::Volume::f_projected))
      each_item(*projected, core::ProjectedVolumeSource::f_sources, [&](Value& one) { erase_field(one, source); });
  });
}

bool uses_stop_signal(const PodSpec& spec) {
  return !each_container(spec, FieldPath(), [](const Container& container, const FieldPath&) {
    return !container.lifecycle().has_stopSignal();
  });
}

void drop_stop_signals(Value& spec, const PodSpec& old) {
  if (!uses_stop_signal(PodSpec(&spec)) || uses_stop_signal(old)) return;
  for (const int list : container_lists)
    each_item(spec, list, [](Value& container) {
      Value* lifecycle = container.get(Container::f_lifecycle);
      if (!lifecycle || !lifecycle->get(core::Lifecycle::f_stopSignal)) return;
      erase_field(*lifecycle, core::Lifecycle::f_stopSignal);
      if (lifecycle->size == 0) erase_field(container, Container::f_lifecycle);
    });
}

void append_requirements(Arena& arena, Value& selector, const TextList& keys, std::string_view op,
                         const TextMap& labels) {
  using Requirement = meta_v1::LabelSelectorRequirement;
  for (const auto key : keys) {
    const Value* label = labels.find(key);
    if (!label) continue;
    Value& list = ensure(arena, selector, meta_v1::LabelSelector::f_matchExpressions, ValueKind::list);
    Value& requirement = append_structure(arena, list);
    set_string(arena, requirement, Requirement::f_key, key);
    set_string(arena, requirement, Requirement::f_operator_, op);
    append_string(arena, ensure(arena, requirement, Requirement::f_values, ValueKind::list), label->str());
  }
}

void apply_to_term(Arena& arena, Value& term, const TextMap& labels) {
  const core::PodAffinityTerm view(&term);
  Value* selector = term.get(core::PodAffinityTerm::f_labelSelector);
  if (!selector) return;
  append_requirements(arena, *selector, view.matchLabelKeys(), "In", labels);
  append_requirements(arena, *selector, view.mismatchLabelKeys(), "NotIn", labels);
}

void apply_to_affinity(Arena& arena, Value* affinity, const TextMap& labels) {
  using core::PodAffinity;
  static_assert(PodAffinity::f_requiredDuringSchedulingIgnoredDuringExecution == core::PodAntiAffinity::f_requiredDuringSchedulingIgnoredDuringExecution);
  static_assert(PodAffinity::f_preferredDuringSchedulingIgnoredDuringExecution == core::PodAntiAffinity::f_preferredDuringSchedulingIgnoredDuringExecution);
  if (!affinity) return;
  each_item(*affinity, PodAffinity::f_preferredDuringSchedulingIgnoredDuringExecution, [&](Value& weighted) {
    if (Value* term = weighted.get(core::WeightedPodAffinityTerm::f_podAffinityTerm)) apply_to_term(arena, *term, labels);
  });
  each_item(*affinity, PodAffinity::f_requiredDuringSchedulingIgnoredDuringExecution,
            [&](Value& term) { apply_to_term(arena, term, labels); });
}

// The profile that an annotation stands for; null when it stands for none.
Value profile_of_annotation(Arena& arena, std::string_view annotation) {
  using core::AppArmorProfile;
  Value profile = Value::empty(ValueKind::structure);
  constexpr std::string_view localhost = "localhost/";
  if (annotation == "unconfined") {
    set_string(arena, profile, AppArmorProfile::f_type, "Unconfined");
  } else if (annotation == "runtime/default") {
    set_string(arena, profile, AppArmorProfile::f_type, "RuntimeDefault");
  } else if (annotation.starts_with(localhost) && annotation.size() > localhost.size()) {
    set_string(arena, profile, AppArmorProfile::f_type, "Localhost");
    set_string(arena, profile, AppArmorProfile::f_localhostProfile, annotation.substr(localhost.size()));
  } else {
    return Value{};
  }
  FieldErrorList errors;
  validate_app_armor_profile(AppArmorProfile(&profile), FieldPath(), errors);
  return errors.empty() ? profile : Value{};
}

}  // namespace

void drop_disabled_pod_fields(Arena&, Value& spec, const PodSpec& old) {
  drop_projection(spec, old, core::VolumeProjection::f_clusterTrustBundle);
  drop_projection(spec, old, core::VolumeProjection::f_podCertificate);
  if (!old.workloadRef()) erase_field(spec, PodSpec::f_workloadRef);
  drop_stop_signals(spec, old);
}

void drop_disabled_template_fields(Arena& arena, Value* template_, const core::PodTemplateSpec& old) {
  if (Value* spec = template_ ? template_->get(core::PodTemplateSpec::f_spec) : nullptr)
    drop_disabled_pod_fields(arena, *spec, old.spec());
}

void drop_disabled_pod_status_fields(Value& status, const core::PodStatus& old) {
  using core::PodStatus;
  if (!old.resources() && old.allocatedResources().empty()) {
    erase_field(status, PodStatus::f_resources);
    erase_field(status, PodStatus::f_allocatedResources);
  }
  if (!old.extendedResourceClaimStatus()) erase_field(status, PodStatus::f_extendedResourceClaimStatus);
  for (const int list :
       {PodStatus::f_initContainerStatuses, PodStatus::f_containerStatuses, PodStatus::f_ephemeralContainerStatuses})
    each_item(status, list,
              [](Value& one) { erase_field(one, core::ContainerStatus::f_allocatedResourcesStatus); });
}

void apply_match_label_keys(Arena& arena, Value& pod) {
  const Value* metadata = pod.get(Pod::f_metadata);
  const TextMap labels = meta_v1::ObjectMeta(metadata).labels();
  Value* spec = pod.get(Pod::f_spec);
  if (!spec || labels.empty()) return;
  if (Value* affinity = spec->get(PodSpec::f_affinity)) {
    apply_to_affinity(arena, affinity->get(core::Affinity::f_podAffinity), labels);
    apply_to_affinity(arena, affinity->get(core::Affinity::f_podAntiAffinity), labels);
  }
  each_item(*spec, PodSpec::f_topologySpreadConstraints, [&](Value& constraint) {
    if (Value* selector = constraint.get(core::TopologySpreadConstraint::f_labelSelector))
      append_requirements(arena, *selector, core::TopologySpreadConstraint(&constraint).matchLabelKeys(), "In", labels);
  });
}

void apply_app_armor_annotations(const StrategyContext& context, Value& pod) {
  const Pod view(&pod);
  const TextMap annotations = view.metadata().annotations();
  if (annotations.empty() || view.spec().os().name() == "windows") return;
  const Value* pod_profile = view.spec().securityContext().appArmorProfile().value();
  Value& spec = *pod.get(Pod::f_spec);
  for (const int list : container_lists)
    each_item(spec, list, [&](Value& container) {
      const Container one(&container);
      const std::string key = std::string(app_armor_annotation_prefix) + std::string(one.name());
      const Value* annotation = annotations.find(key);
      if (!annotation || one.securityContext().appArmorProfile()) return;
      const Value profile = profile_of_annotation(context.arena, annotation->str());
      const bool is_new = !profile.is_null() && !is_same(&profile, pod_profile);
      if (is_new) {
        Value& own = ensure(context.arena, container, Container::f_securityContext);
        assign(set_field(context.arena, own, core::SecurityContext::f_appArmorProfile), profile);
      }
      if (context.warnings && (is_new || profile.is_null()))
        context.warnings->add("metadata.annotations[" + key + "]: deprecated since v1.30; use the \"appArmorProfile\" field instead");
    });
}

}  // namespace rusternetes::api_server
