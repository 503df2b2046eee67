// Pods (pkg/registry/core/pod/strategy.go).

#include "api-server/strategy.h"
#include "api-server/strategy/pod_defaults.h"
#include "api-server/strategy/pod_resources.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/names.h"


namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Pod;
using core_v1::PodSpec;
using core_v1::PodStatus;

namespace {

class PodStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    set_pod_defaults(arena, object);
  }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    Strategy::prepare_for_create(context, object);
    Value& status = ensure(context.arena, object, Pod::f_status);
    set_string(context.arena, status, PodStatus::f_phase, "Pending");
    set_string(context.arena, *object.get(Pod::f_status), PodStatus::f_qosClass, quality_of_service(*object.get(Pod::f_spec)));
  }

  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    Strategy::prepare_for_status_update(context, object, old);
    // What the Pod is asked to be, it stays.
    if (const auto quality = Pod(&old).status().qosClass(); !quality.empty())
      set_string(context.arena, ensure(context.arena, object, Pod::f_status), PodStatus::f_qosClass, quality);
  }

  bool has_generation() const override { return true; }
  bool returns_deleted_object() const override { return true; }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const Pod pod(&object);
    const FieldPath spec("spec");
    if (pod.spec().containers().empty()) errors.push_back(field::required(spec.child("containers")));
    std::int64_t i = 0;
    for (const auto container : pod.spec().containers()) {
      const FieldPath list = spec.child("containers"), at = list.index(i++);
      if (container.name().empty()) errors.push_back(field::required(at.child("name")));
      else errors.push_invalid(at.child("name"), container.name(), is_dns1123_label(container.name()));
      if (container.image().empty()) errors.push_back(field::required(at.child("image")));
    }
  }

  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    // Of a running Pod's spec only these may change (ValidatePodUpdate).
    Arena arena;
    Value now = deep_copy(arena, *object.get(Pod::f_spec));
    const Value& then = *old.get(Pod::f_spec);
    Value *containers = now.get(PodSpec::f_containers), *init = now.get(PodSpec::f_initContainers);
    auto align = [&](Value* list, int field) {
      const Value* before = then.get(field);
      if (!list || !before || list->size != before->size) return;
      for (std::uint32_t n = 0; n < list->size; ++n) take_field(arena, list->items[n], before->items[n], core_v1::Container::f_image);
    };
    align(containers, PodSpec::f_containers);
    align(init, PodSpec::f_initContainers);
    for (const int field : {PodSpec::f_activeDeadlineSeconds, PodSpec::f_tolerations, PodSpec::f_schedulingGates, PodSpec::f_terminationGracePeriodSeconds})
      take_field(arena, now, then, field);
    now.field = then.field;
    if (!equal(now, then))
      errors.push_back(field::forbidden(FieldPath("spec"),
          "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
  }

  std::int64_t grace_period(const Value& object, std::optional<std::int64_t> requested) const override {
    const Pod pod(&object);
    if (pod.spec().nodeName().empty() || pod.status().phase() == "Failed" || pod.status().phase() == "Succeeded") return 0;
    const std::int64_t period = requested ? *requested : pod.spec().terminationGracePeriodSeconds(30);
    return period < 0 ? 1 : period;
  }

  std::vector<std::string_view> selectable_fields() const override {
    return {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"};
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
};

}  // namespace

const Strategy& pods_strategy() {
  static const PodStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
