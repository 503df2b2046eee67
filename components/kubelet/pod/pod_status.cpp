#include "kubelet/pod/pod_status.h"

#include "apimachinery/edit.h"
#include "client/object_builder.h"
#include "kubelet/pod/pod_actions.h"

namespace rusternetes::kubelet {

using namespace apimachinery;

namespace {

// Fields that are no pointers are not stored while they are zero.
void put(Arena& arena, Value& owner, int field, std::string_view text) {
  if (!text.empty()) set_string(arena, owner, field, text);
}
void put(Arena& arena, Value& owner, int field, std::int64_t number) {
  if (number != 0) set_integer(arena, owner, field, number);
}

void write_state(Arena& arena, Value& owner, int field, const StateModel& model) {
  using S = core_v1::ContainerState;
  if (model.kind == StateModel::Kind::none) return;
  Value& state = ensure(arena, owner, field);
  if (model.is_waiting()) {
    using W = core_v1::ContainerStateWaiting;
    Value& waiting = ensure(arena, state, S::f_waiting);
    put(arena, waiting, W::f_reason, model.reason);
    put(arena, waiting, W::f_message, model.message);
  } else if (model.is_running()) {
    Value& running = ensure(arena, state, S::f_running);
    if (model.started_at_us) set_time(arena, running, core_v1::ContainerStateRunning::f_startedAt, model.started_at_us);
  } else {
    using T = core_v1::ContainerStateTerminated;
    Value& terminated = ensure(arena, state, S::f_terminated);
    put(arena, terminated, T::f_exitCode, model.exit_code);
    put(arena, terminated, T::f_reason, model.reason);
    put(arena, terminated, T::f_message, model.message);
    // One that never started says 1970, as clients know it; one of which nothing is known says nothing.
    if (model.started_at_us || !model.container_id.empty()) set_time(arena, terminated, T::f_startedAt, model.started_at_us);
    if (model.finished_at_us) set_time(arena, terminated, T::f_finishedAt, model.finished_at_us);
    put(arena, terminated, T::f_containerID, model.container_id);
  }
}

void write_volume_mounts(Arena& arena, Value& status, const core_v1::Container& container) {
  if (container.volumeMounts().empty()) return;
  using M = core_v1::VolumeMountStatus;
  Value& list = ensure(arena, status, core_v1::ContainerStatus::f_volumeMounts, ValueKind::list);
  for (const auto mount : container.volumeMounts()) {
    Value& one = append_structure(arena, list);
    put(arena, one, M::f_name, mount.name());
    put(arena, one, M::f_mountPath, mount.mountPath());
    if (!mount.readOnly()) continue;
    set_boolean(arena, one, M::f_readOnly, true);
    set_string(arena, one, M::f_recursiveReadOnly, "Disabled");
  }
}

void write_container_statuses(Arena& arena, Value& status, int field, const std::vector<ContainerStatusModel>& models,
                              const ListView<core_v1::Container>& containers) {
  if (models.empty()) return;
  using C = core_v1::ContainerStatus;
  Value& list = ensure(arena, status, field, ValueKind::list);
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& model = models[i];
    const auto container = containers[i];
    Value& one = append_structure(arena, list);
    put(arena, one, C::f_name, model.name);
    write_state(arena, one, C::f_state, model.state);
    write_state(arena, one, C::f_lastState, model.last_state);
    if (model.is_ready) set_boolean(arena, one, C::f_ready, true);
    put(arena, one, C::f_restartCount, model.restart_count);
    put(arena, one, C::f_image, model.image);
    put(arena, one, C::f_imageID, model.image_id);
    put(arena, one, C::f_containerID, model.container_id);
    if (field != core_v1::PodStatus::f_ephemeralContainerStatuses) set_boolean(arena, one, C::f_started, model.is_started);
    if (!model.container_id.empty() && container.resources()) {
      if (const Value* requests = container.resources().value()->get(core_v1::ResourceRequirements::f_requests))
        assign(set_field(arena, one, C::f_allocatedResources), deep_copy(arena, *requests));
      assign(set_field(arena, one, C::f_resources), deep_copy(arena, *container.resources().value()));
    }
    write_volume_mounts(arena, one, container);
  }
}

bool is_ours(std::string_view type) {
  for (const std::string_view ours :
       {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"})
    if (type == ours) return true;
  return false;
}

void write_conditions(Arena& arena, Value& status, const core_v1::Pod& old, const std::vector<ConditionModel>& models,
                      std::int64_t now_us) {
  using C = core_v1::PodCondition;
  Value& list = ensure(arena, status, core_v1::PodStatus::f_conditions, ValueKind::list);
  for (const auto condition : old.status().conditions())
    if (!is_ours(condition.type())) append(arena, list, deep_copy(arena, *condition.value()));
  for (const auto& model : models) {
    std::int64_t since = now_us;
    for (const auto condition : old.status().conditions())
      if (condition.type() == model.type && condition.status() == model.status) since = condition.lastTransitionTime(now_us);
    Value& one = append_structure(arena, list);
    set_string(arena, one, C::f_type, model.type);
    put(arena, one, C::f_observedGeneration, old.metadata().generation());
    set_string(arena, one, C::f_status, model.status);
    set_time(arena, one, C::f_lastTransitionTime, since);
    put(arena, one, C::f_reason, model.reason);
    put(arena, one, C::f_message, model.message);
  }
}

void write_addresses(Arena& arena, Value& status, const core_v1::Pod& pod, const PodStatusInput& input) {
  using S = core_v1::PodStatus;
  const auto write_list = [&](int field, int ip_field, const std::vector<std::string>& addresses) {
    if (addresses.empty()) return;
    Value& list = ensure(arena, status, field, ValueKind::list);
    for (const auto& address : addresses) set_string(arena, append_structure(arena, list), ip_field, address);
  };
  if (!input.host_ips.empty()) set_string(arena, status, S::f_hostIP, input.host_ips.front());
  write_list(S::f_hostIPs, core_v1::HostIP::f_ip, input.host_ips);
  auto pod_ips = input.state->pod_ips;
  if (is_host_network(pod)) {
    pod_ips = input.host_ips;
  } else if (pod_ips.empty()) {
    for (const auto one : pod.status().podIPs()) pod_ips.emplace_back(one.ip());  // of a Pod that has ended
  }
  if (!pod_ips.empty()) set_string(arena, status, S::f_podIP, pod_ips.front());
  write_list(S::f_podIPs, core_v1::PodIP::f_ip, pod_ips);
}

}  // namespace

Document compute_pod_status(const Document& pod, const PodStatusInput& input) {
  using S = core_v1::PodStatus;
  const auto old = pod_view(pod);
  const std::int64_t now_us = input.now_us / 1'000'000 * 1'000'000;  // as metav1.Time keeps it
  const auto init = container_statuses(old, true, input);
  const auto regular = container_statuses(old, false, input);
  std::string phase = pod_phase(old, init, regular, input.is_terminating);
  if (!input.forced_phase.empty()) phase = input.forced_phase;
  if (has_terminal_phase(old)) phase = old.status().phase();  // a Pod that has ended never runs again
  // The conditions tell the end at once, the phase only when nothing runs any more.
  std::string shown = phase;
  if ((phase == "Succeeded" || phase == "Failed") && !has_terminal_phase(old) && input.state->has_running_containers())
    shown = old.status().phase().empty() ? "Pending" : std::string(old.status().phase());

  client::ObjectBuilder builder(pod);
  Arena& arena = builder.arena();
  Value& status = set_field(arena, builder.root(), core_v1::Pod::f_status);
  assign(status, Value::empty(ValueKind::structure));
  put(arena, status, S::f_observedGeneration, old.metadata().generation());
  set_string(arena, status, S::f_phase, shown);
  if (!input.forced_phase.empty() && shown == input.forced_phase && !has_terminal_phase(old)) {
    put(arena, status, S::f_reason, input.forced_reason);
    put(arena, status, S::f_message, input.forced_message);
  } else if (shown == old.status().phase()) {
    put(arena, status, S::f_reason, old.status().reason());
    put(arena, status, S::f_message, old.status().message());
  }
  put(arena, status, S::f_nominatedNodeName, old.status().nominatedNodeName());
  const bool has_sandbox = !needs_sandbox(old, *input.state);
  write_conditions(arena, status, old, pod_conditions(old, init, regular, phase, has_sandbox), now_us);
  write_addresses(arena, status, old, input);
  set_time(arena, status, S::f_startTime, old.status().startTime(now_us));
  write_container_statuses(arena, status, S::f_initContainerStatuses, init, old.spec().initContainers());
  write_container_statuses(arena, status, S::f_containerStatuses, regular, old.spec().containers());
  write_container_statuses(arena, status, S::f_ephemeralContainerStatuses, ephemeral_container_statuses(old, input), ephemeral_containers(old));
  set_string(arena, status, S::f_qosClass, to_string(qos_class(old)));
  for (const int field : {S::f_resize, S::f_resourceClaimStatuses, S::f_allocatedResources,
                          S::f_resources}) {
    const Value* kept = old.status() ? old.status().value()->get(field) : nullptr;
    if (kept) assign(set_field(arena, status, field), deep_copy(arena, *kept));
  }
  return builder.freeze();
}

}  // namespace rusternetes::kubelet
