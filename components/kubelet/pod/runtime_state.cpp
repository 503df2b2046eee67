#include "kubelet/pod/runtime_state.h"

#include <algorithm>

namespace rusternetes::kubelet {

using engine::ContainerState;
using engine::ContainerStatus;

const ContainerStatus* PodRuntimeState::find(std::string_view name, std::string_view sandbox_id) const {
  for (const auto& container : containers)
    if (container.name == name && (sandbox_id.empty() || container.sandbox_id == sandbox_id)) return &container;
  return nullptr;
}

bool PodRuntimeState::has_running_containers() const {
  return std::any_of(containers.begin(), containers.end(),
                     [](const auto& container) { return container.state == ContainerState::running; });
}

void PodRuntimeState::sort() {
  std::stable_sort(sandboxes.begin(), sandboxes.end(), [](const auto& a, const auto& b) {
    return a.attempt != b.attempt ? a.attempt > b.attempt : a.created_at_ns > b.created_at_ns;
  });
  std::stable_sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) {
    return a.name == b.name && a.attempt != b.attempt ? a.attempt > b.attempt : a.created_at_ns > b.created_at_ns;
  });
}

std::string container_id_text(std::string_view runtime_name, std::string_view id) {
  return id.empty() ? std::string() : std::string(runtime_name) + "://" + std::string(id);
}

namespace {

void complete_one(const apimachinery::ListView<core_v1::ContainerStatus>& statuses, ContainerStatus& container) {
  for (const auto status : statuses) {
    if (status.name() != container.name || !status.containerID().ends_with(container.id)) continue;
    if (const auto terminated = status.state().terminated()) {
      container.state = ContainerState::exited;
      container.exit_code = static_cast<int>(terminated.exitCode());
      container.reason = terminated.reason();
      container.message = terminated.message();
      container.started_at_ns = terminated.startedAt() * 1000;
      container.finished_at_ns = terminated.finishedAt() * 1000;
    } else if (const auto running = status.state().running()) {
      container.state = ContainerState::exited;
      container.exit_code = 137;
      container.reason = "ContainerStatusUnknown";
      container.message = "The container could not be located when the pod was terminated";
      container.started_at_ns = running.startedAt() * 1000;
      container.finished_at_ns = container.started_at_ns;
    }
  }
}

}  // namespace

void complete_from_status(const core_v1::Pod& pod, PodRuntimeState& state) {
  for (auto& container : state.containers) {
    if (container.state != ContainerState::created) continue;
    complete_one(pod.status().containerStatuses(), container);
    complete_one(pod.status().initContainerStatuses(), container);
    complete_one(pod.status().ephemeralContainerStatuses(), container);
  }
}

}  // namespace rusternetes::kubelet
