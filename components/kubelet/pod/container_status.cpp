// The statuses of a Pod's containers: the newest one of each name is its state, the one before its last state.

#include <algorithm>

#include "kubelet/pod/pod_actions.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/probe/pod_probes.h"

namespace rusternetes::kubelet {

using engine::ContainerState;

StateModel StateModel::waiting(std::string reason, std::string message) {
  StateModel out;
  out.kind = Kind::waiting;
  out.reason = std::move(reason);
  out.message = std::move(message);
  return out;
}

namespace {

std::int64_t whole_seconds(std::int64_t ns) { return ns / 1'000'000'000 * 1'000'000; }

StateModel read_state(const core_v1::ContainerState& state) {
  StateModel out;
  if (const auto waiting = state.waiting()) {
    out = StateModel::waiting(std::string(waiting.reason()), std::string(waiting.message()));
  } else if (const auto running = state.running()) {
    out.kind = StateModel::Kind::running;
    out.started_at_us = running.startedAt();
  } else if (const auto terminated = state.terminated()) {
    out.kind = StateModel::Kind::terminated;
    out.exit_code = static_cast<int>(terminated.exitCode());
    out.reason = terminated.reason();
    out.message = terminated.message();
    out.started_at_us = terminated.startedAt();
    out.finished_at_us = terminated.finishedAt();
    out.container_id = terminated.containerID();
  }
  return out;
}

ContainerStatusModel read_status(const core_v1::ContainerStatus& status) {
  ContainerStatusModel out;
  out.name = status.name();
  out.image = status.image();
  out.image_id = status.imageID();
  out.container_id = status.containerID();
  out.state = read_state(status.state());
  out.last_state = read_state(status.lastState());
  out.restart_count = status.restartCount();
  return out;
}

StateModel state_of(const engine::ContainerStatus& container, const std::string& runtime_name) {
  StateModel out;
  switch (container.state) {
    case ContainerState::running:
      out.kind = StateModel::Kind::running;
      out.started_at_us = whole_seconds(container.started_at_ns);
      break;
    case ContainerState::exited:
      out.kind = StateModel::Kind::terminated;
      out.exit_code = container.exit_code;
      out.reason = container.reason;
      out.message = container.message;
      out.started_at_us = whole_seconds(container.started_at_ns);
      out.finished_at_us = whole_seconds(container.finished_at_ns);
      out.container_id = container_id_text(runtime_name, container.id);
      break;
    case ContainerState::created:
    case ContainerState::unknown: out = StateModel::waiting({}); break;
  }
  return out;
}

ContainerStatusModel status_of(const engine::ContainerStatus& container, const PodStatusInput& input) {
  ContainerStatusModel out;
  out.name = container.name;
  out.image = container.image;
  auto image = input.image_refs.find(container.image_id);
  out.image_id = image == input.image_refs.end() ? container.image_id : image->second;
  out.container_id = container_id_text(input.runtime_name, container.id);
  out.state = state_of(container, input.runtime_name);
  out.restart_count = container.attempt;
  return out;
}

// What status said before, for a container that the runtime does not have.
ContainerStatusModel without_container(const core_v1::Container& container, const ContainerStatusModel* old,
                                       const char* default_reason, bool is_deleting) {
  ContainerStatusModel out;
  out.name = container.name();
  out.image = container.image();
  out.state = StateModel::waiting(default_reason);
  if (!old) return out;
  if (old->state.is_terminated()) return *old;
  out.restart_count = old->restart_count;
  out.last_state = old->last_state;
  if (!old->state.is_running() || out.last_state.is_terminated()) return out;
  out.last_state = {};
  out.last_state.kind = StateModel::Kind::terminated;
  out.last_state.reason = "ContainerStatusUnknown";
  out.last_state.message = "The container could not be located when the pod was deleted.  The container used to be Running";
  out.last_state.exit_code = 137;
  if (!is_deleting) ++out.restart_count;
  return out;
}

}  // namespace

namespace {

using Containers = apimachinery::ListView<core_v1::Container>;
using OldStatuses = apimachinery::ListView<core_v1::ContainerStatus>;

enum class Kind { init, regular, ephemeral };

std::vector<ContainerStatusModel> statuses_of(const core_v1::Pod& pod, Kind kind, Containers containers, OldStatuses old_statuses,
                                              const PodStatusInput& input) {
  const bool is_init = kind == Kind::init, is_ephemeral = kind == Kind::ephemeral;
  const char* default_reason = pod.spec().initContainers().empty() ? "ContainerCreating" : "PodInitializing";
  std::vector<ContainerStatusModel> out;
  for (const auto container : containers) {
    std::optional<ContainerStatusModel> old;
    for (const auto status : old_statuses)
      if (status.name() == container.name()) old = read_status(status);
    const auto* newest = input.state->find(container.name());
    ContainerStatusModel model;
    if (!newest) {
      model = without_container(container, old ? &*old : nullptr, default_reason, is_deleting(pod));
    } else {
      model = status_of(*newest, input);
      // The last one that ended; those that were made and could not be started say nothing.
      const engine::ContainerStatus* last = nullptr;
      for (const auto& other : input.state->containers)
        if (!last && &other != newest && other.name == container.name() && other.state == ContainerState::exited) last = &other;
      if (last) {
        model.last_state = state_of(*last, input.runtime_name);
      } else if (newest->attempt > 0 && old) {
        // It was collected, but status remembers it.
        const bool is_same = old->container_id == model.container_id;
        model.last_state = !is_same && old->state.is_terminated() ? old->state : old->last_state;
      }
    }
    const bool is_done_init = is_init && newest && newest->state == ContainerState::exited && newest->exit_code == 0 &&
                              !is_sidecar(container);
    const bool is_to_start = is_ephemeral ? !has_begun(pod, *input.state, container.name())
                                          : !is_done_init && should_be_started(container, pod, *input.state);
    if (!input.is_terminating && is_to_start) {
      if (auto failure = input.failures->find(container.name()); failure != input.failures->end()) {
        if (model.state.is_terminated()) model.last_state = model.state;
        model.state = StateModel::waiting(failure->second.reason, failure->second.message);
      }
    }
    // Without probes a container is ready while it runs, an init container once it has succeeded.
    if (newest && model.state.is_running() && !is_ephemeral) {
      static const ProbeResults none;
      const auto& probes = input.probes ? *input.probes : none;
      const auto facts = facts_of(pod, *newest);
      model.is_started = probes.is_started(facts);
      model.is_ready = probes.is_ready(facts);
    }
    if (is_init && !is_sidecar(container)) model.is_ready = model.state.is_terminated() && model.state.exit_code == 0;
    out.push_back(std::move(model));
  }
  return out;
}

}  // namespace

std::vector<ContainerStatusModel> container_statuses(const core_v1::Pod& pod, bool is_init, const PodStatusInput& input) {
  if (is_init) return statuses_of(pod, Kind::init, pod.spec().initContainers(), pod.status().initContainerStatuses(), input);
  return statuses_of(pod, Kind::regular, pod.spec().containers(), pod.status().containerStatuses(), input);
}

std::vector<ContainerStatusModel> ephemeral_container_statuses(const core_v1::Pod& pod, const PodStatusInput& input) {
  return statuses_of(pod, Kind::ephemeral, ephemeral_containers(pod), pod.status().ephemeralContainerStatuses(), input);
}

}  // namespace rusternetes::kubelet
