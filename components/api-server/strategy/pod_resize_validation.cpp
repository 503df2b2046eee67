// Changing the cpu and memory of a running Pod's containers (KEP 1287).

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_annotations.h"
#include "api-server/strategy/pod_resources.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::PodSpec;
using core_v1::ResourceRequirements;

namespace {

bool is_removed(const TextMap& now, const TextMap& then) {
  if (then.size() > now.size()) return true;
  for (const auto& [name, amount] : then)
    if (!now.contains(name)) return true;
  return false;
}

void check_removed(const ResourceRequirements& now, const ResourceRequirements& then, const FieldPath& path,
                   FieldErrorList& errors) {
  if (is_removed(now.requests(), then.requests()))
    errors.push_back(field::forbidden(path.child("requests"), "resource requests cannot be removed"));
  if (is_removed(now.limits(), then.limits()))
    errors.push_back(field::forbidden(path.child("limits"), "resource limits cannot be removed"));
}

// The same apart from cpu and memory.
bool is_same_list(const TextMap& now, const TextMap& then) {
  const auto covers = [](const TextMap& a, const TextMap& b) {
    for (const auto& [name, amount] : a)
      if (name != "cpu" && name != "memory" && (!b.contains(name) || b.get(name) != amount)) return false;
    return true;
  };
  return covers(now, then) && covers(then, now);
}

bool is_same_container(const Container& now, const Container& then, bool compare_resources) {
  const std::size_t fields = Container::schema_type().fields.size();
  for (std::size_t i = 0; i < fields; ++i) {
    const int field = static_cast<int>(i);
    if (field == Container::f_resources && !compare_resources) continue;
    if (!is_same_loosely(now.value()->get(field), then.value()->get(field))) return false;
  }
  if (compare_resources) return true;
  return is_same_list(now.resources().limits(), then.resources().limits()) &&
         is_same_list(now.resources().requests(), then.resources().requests());
}

bool check_order(const ListView<Container>& now, const ListView<Container>& then, const FieldPath& path,
                 std::string_view added, std::string_view renamed, FieldErrorList& errors) {
  if (now.size() != then.size()) {
    errors.push_back(field::forbidden(path, added));
    return false;
  }
  bool is_same_order = true;
  for (std::size_t i = 0; i < then.size(); ++i) {
    if (now[i].name() == then[i].name()) continue;
    is_same_order = false;
    errors.push_back(field::forbidden(path.index(static_cast<std::int64_t>(i)).child("name"), renamed));
  }
  return is_same_order;
}

bool is_resize_supported(const core::Pod& pod) {
  for (const auto status : pod.status().containerStatuses())
    if (status.state().running()) return static_cast<bool>(status.resources());
  return true;
}

bool has_pod_resources(const PodSpec& spec) {
  return spec.resources() && spec.resources().requests().size() + spec.resources().limits().size() > 0;
}

}  // namespace

void validate_pod_resize(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                         FieldErrorList& errors) {
  const FieldPath nothing(""), path("spec");
  const PodSpec now = pod.spec(), then = old.spec();
  if (old.metadata().annotations().contains(mirror_pod_annotation)) {
    errors.push_back(field::forbidden(nothing, "static pods cannot be resized"));
    return;
  }
  if (then.os().name() == "windows") {
    errors.push_back(field::forbidden(nothing, "windows pods cannot be resized"));
    return;
  }
  validate_pod(pod, options, errors);
  const std::string_view quality = old.status().qosClass().empty() ? quality_of_service(*then.value()) : old.status().qosClass();
  if (quality != quality_of_service(*now.value()))
    errors.push_back(field::invalid(path, pod.status().qosClass(), "Pod QOS Class may not change as a result of resizing"));
  if (!is_resize_supported(old)) errors.push_back(field::forbidden(path, "Pod running on node without support for resize"));
  if (has_pod_resources(then) || has_pod_resources(now))
    errors.push_back(field::forbidden(nothing, "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled"));
  const FieldPath containers = path.child("containers"), init_containers = path.child("initContainers");
  const bool in_order = check_order(now.containers(), then.containers(), containers, "containers may not be added or removed on resize",
                                    "containers may not be renamed or reordered on resize", errors);
  const bool init_in_order = check_order(now.initContainers(), then.initContainers(), init_containers, "initContainers may not be added or removed on resize",
                                         "initContainers may not be renamed or reordered on resize", errors);
  if (!in_order || !init_in_order) return;
  for (std::size_t i = 0; i < then.initContainers().size(); ++i) {
    const Container before = then.initContainers()[i], after = now.initContainers()[i];
    const bool is_sidecar = before.restartPolicy() == "Always";
    if (is_sidecar) check_removed(after.resources(), before.resources(), init_containers.index(static_cast<std::int64_t>(i)).child("resources"), errors);
    if (!is_same_container(after, before, !is_sidecar))
      errors.push_back(field::forbidden(path, is_sidecar ? "only cpu and memory resources for sidecar containers are mutable"
                                                         : "resources for non-sidecar init containers are immutable"));
  }
  for (std::size_t i = 0; i < then.containers().size(); ++i) {
    const Container before = then.containers()[i], after = now.containers()[i];
    check_removed(after.resources(), before.resources(), containers.index(static_cast<std::int64_t>(i)).child("resources"), errors);
    if (!is_same_container(after, before, false))
      errors.push_back(field::forbidden(path, "only cpu and memory resources are mutable"));
  }
}

}  // namespace rusternetes::api_server
