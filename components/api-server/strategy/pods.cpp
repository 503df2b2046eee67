// Pods (pkg/registry/core/pod).

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_defaults.h"
#include "api-server/strategy/pod_preparation.h"
#include "api-server/strategy/pod_resources.h"
#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::Pod;
using core_v1::PodSpec;
using core_v1::PodStatus;
using meta_v1::ObjectMeta;

namespace {

void add_gated_condition(const StrategyContext& context, Value& status) {
  using core_v1::PodCondition;
  Arena& arena = context.arena;
  Value& condition = append_structure(arena, ensure(arena, status, PodStatus::f_conditions, ValueKind::list));
  set_string(arena, condition, PodCondition::f_type, "PodScheduled");
  set_string(arena, condition, PodCondition::f_status, "False");
  set_time(arena, condition, PodCondition::f_lastTransitionTime, context.now_us - context.now_us % 1'000'000);
  set_string(arena, condition, PodCondition::f_reason, "SchedulingGated");
  set_string(arena, condition, PodCondition::f_message, "Scheduling is blocked due to non-empty scheduling gates");
}

// What an old kubelet does not send is not taken away.
void keep_observed_generations(Arena& arena, Value& status, const PodStatus& old) {
  using core_v1::PodCondition;
  if (PodStatus(&status).observedGeneration() == 0 && old.observedGeneration() != 0)
    set_integer(arena, status, PodStatus::f_observedGeneration, old.observedGeneration());
  std::size_t index = 0;
  each_item(status, PodStatus::f_conditions, [&](Value& condition) {
    const PodCondition view(&condition);
    // Conditions of one type are told apart by their order.
    std::size_t rank = 0, seen = 0;
    const ListView<PodCondition> now(status.get(PodStatus::f_conditions));
    for (std::size_t i = 0; i < index; ++i) rank += now[i].type() == view.type();
    ++index;
    if (view.observedGeneration() != 0) return;
    for (const auto before : old.conditions()) {
      if (before.type() != view.type() || seen++ != rank) continue;
      if (before.observedGeneration() != 0)
        set_integer(arena, condition, PodCondition::f_observedGeneration, before.observedGeneration());
      return;
    }
  });
}

// Of a resize only resources and resize policies count; containers that do not line up are left for validation.
void take_resources(Arena& arena, Value& spec, const Value& wanted, int list_field) {
  Value* list = spec.get(list_field);
  const Value* from = wanted.get(list_field);
  if (!list || !from) return;
  for (std::uint32_t i = 0; i < list->size; ++i)
    if (Container(&list->items[i]).name() != Container(&from->items[i]).name()) {
      take_field(arena, spec, wanted, list_field);
      return;
    }
  assign(*list, copy_level(arena, *list));
  for (std::uint32_t i = 0; i < list->size; ++i) {
    list->items[i] = copy_level(arena, list->items[i]);
    take_field(arena, list->items[i], from->items[i], Container::f_resources);
    take_field(arena, list->items[i], from->items[i], Container::f_resizePolicy);
  }
}

class PodStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override { set_pod_defaults(arena, object); }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    Arena& arena = context.arena;
    set_generation(context, object, 1);
    erase_field(object, Pod::f_status);
    drop_disabled_pod_fields(arena, ensure(arena, object, Pod::f_spec), {});
    const std::string_view quality = quality_of_service(*object.get(Pod::f_spec));
    const bool is_gated = !Pod(&object).spec().schedulingGates().empty();
    Value& status = ensure(arena, object, Pod::f_status);
    set_string(arena, status, PodStatus::f_phase, "Pending");
    set_string(arena, status, PodStatus::f_qosClass, quality);
    if (is_gated) add_gated_condition(context, status);
    apply_match_label_keys(arena, object);
    apply_app_armor_annotations(context, object);
  }

  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    if (context.subresource == "ephemeralcontainers")
      keep_all_but_ephemeral_containers(context, object, old);
    else if (context.subresource == "resize")
      keep_all_but_resources(context, object, old);
    take_field(context.arena, object, old, Pod::f_status);
    drop_disabled_pod_fields(context.arena, ensure(context.arena, object, Pod::f_spec), Pod(&old).spec());
    raise_generation(context, object, old);
  }

  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    Arena& arena = context.arena;
    take_field(arena, object, old, Pod::f_spec);
    take_field(arena, ensure(arena, object, Pod::f_metadata), *old.get(Pod::f_metadata), ObjectMeta::f_ownerReferences);
    Value& status = ensure(arena, object, Pod::f_status);
    const PodStatus before = Pod(&old).status();
    if (PodStatus(&status).qosClass().empty() && !before.qosClass().empty())
      set_string(arena, status, PodStatus::f_qosClass, before.qosClass());
    keep_observed_generations(arena, status, before);
    drop_disabled_pod_status_fields(status, before);
  }

  FieldSet reset_fields(Arena& arena, const Kind&, std::string_view subresource) const override {
    if (subresource == "status")
      return field_set_of(arena, {{"spec"}, {"metadata", "deletionTimestamp"}, {"metadata", "ownerReferences"}});
    if (subresource != "ephemeralcontainers" && subresource != "resize") return field_set_of(arena, {{"status"}});
    // Only one part of the spec counts there.
    std::vector<FieldSet::Entry> entries{{PathElement::of_field("metadata"), {}, true}, {PathElement::of_field("status"), {}, true}};
    std::vector<FieldSet::Entry> spec;
    for (const Field& field : PodSpec::schema_type().fields) {
      const bool is_kept = subresource == "resize" ? field.name == "containers" || field.name == "initContainers"
                                                   : field.name == "ephemeralContainers";
      if (!is_kept) spec.push_back({PathElement::of_field(field.name), {}, true});
    }
    entries.push_back({PathElement::of_field("spec"), make_field_set(arena, spec), false});
    return make_field_set(arena, entries);
  }

  bool has_generation() const override { return true; }
  bool returns_deleted_object() const override { return true; }
  bool deletes_gracefully() const override { return true; }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    PodValidationOptions options;
    options.is_pod = true;
    options.allow_privileged = context.allow_privileged;
    validate_pod_create(Pod(&object), options, errors);
  }

  void validate_update(const StrategyContext& context, const Value& object, const Value& old,
                       FieldErrorList& errors) const override {
    const Pod now(&object), then(&old);
    const PodValidationOptions options = update_options(context, then);
    if (context.subresource == "ephemeralcontainers")
      validate_ephemeral_containers_update(now, then, options, errors);
    else if (context.subresource == "resize")
      validate_pod_resize(now, then, options, errors);
    else
      validate_pod_update(now, then, options, errors);
  }

  void validate_status_update(const StrategyContext& context, const Value& object, const Value& old,
                              FieldErrorList& errors) const override {
    validate_pod_status_update(Pod(&object), Pod(&old), update_options(context, Pod(&old)), errors);
  }

  std::int64_t grace_period(const Value& object, std::optional<std::int64_t> requested) const override {
    const Pod pod(&object);
    // Nothing runs yet, or nothing runs any more.
    if (pod.spec().nodeName().empty() || pod.status().phase() == "Failed" || pod.status().phase() == "Succeeded") return 0;
    const std::int64_t period = requested ? *requested : pod.spec().terminationGracePeriodSeconds(0);
    return period < 0 ? 1 : period;
  }

  std::vector<std::string_view> selectable_fields() const override {
    return {"spec.nodeName",    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase",       "status.podIP",       "status.nominatedNodeName"};
  }
  std::string selectable_field(const Value& object, std::string_view name) const override {
    const Pod pod(&object);
    if (name == "spec.nodeName") return std::string(pod.spec().nodeName());
    if (name == "spec.restartPolicy") return std::string(pod.spec().restartPolicy());
    if (name == "spec.schedulerName") return std::string(pod.spec().schedulerName());
    if (name == "spec.serviceAccountName") return std::string(pod.spec().serviceAccountName());
    if (name == "spec.hostNetwork") return pod.spec().hostNetwork() ? "true" : "false";
    if (name == "status.phase") return std::string(pod.status().phase());
    if (name == "status.podIP") return std::string(pod.status().podIP());
    return std::string(pod.status().nominatedNodeName());
  }

 private:
  static PodValidationOptions update_options(const StrategyContext& context, const Pod& old) {
    PodValidationOptions options = pod_update_options(old.spec(), old.metadata().annotations());
    options.is_pod = true;
    options.allow_privileged = context.allow_privileged;
    return options;
  }

  static void keep_all_but_ephemeral_containers(const StrategyContext& context, Value& object, const Value& old) {
    const Value wanted = *object.get(Pod::f_spec);
    keep_metadata(context, object, old);
    Value spec = copy_level(context.arena, *old.get(Pod::f_spec));
    take_field(context.arena, spec, wanted, PodSpec::f_ephemeralContainers);
    assign(set_field(context.arena, object, Pod::f_spec), spec);
  }

  static void keep_all_but_resources(const StrategyContext& context, Value& object, const Value& old) {
    const PodSpec now = Pod(&object).spec(), then = Pod(&old).spec();
    if (now.containers().size() != then.containers().size() || now.initContainers().size() != then.initContainers().size())
      return;  // validation will say so
    const Value wanted = *object.get(Pod::f_spec);
    keep_metadata(context, object, old);
    Value spec = copy_level(context.arena, *old.get(Pod::f_spec));
    take_resources(context.arena, spec, wanted, PodSpec::f_containers);
    take_resources(context.arena, spec, wanted, PodSpec::f_initContainers);
    assign(set_field(context.arena, object, Pod::f_spec), spec);
  }
};

}  // namespace

const Strategy& pods_strategy() {
  static const PodStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
