// Phase and conditions of a Pod, after its containers' statuses.

#include <fmt/format.h>

#include <algorithm>

#include "kubelet/pod/pod_status.h"

namespace rusternetes::kubelet {

namespace {

using Statuses = std::vector<ContainerStatusModel>;

const ContainerStatusModel* find(const Statuses& statuses, std::string_view name) {
  for (const auto& status : statuses)
    if (status.name == name) return &status;
  return nullptr;
}

// The end that counts: the current one, or the last one of a container that waits to be started again.
const StateModel* ended_state(const ContainerStatusModel& status) {
  if (status.state.is_terminated()) return &status.state;
  if (status.state.is_waiting() && status.last_state.is_terminated()) return &status.last_state;
  return nullptr;
}

std::string names(const std::vector<std::string>& list) { return fmt::format("[{}]", fmt::join(list, " ")); }

bool is_initialized(const core_v1::Container& container, const ContainerStatusModel& status) {
  return is_sidecar(container) ? status.is_started : status.is_ready;
}

}  // namespace

std::string pod_phase(const core_v1::Pod& pod, const Statuses& init, const Statuses& regular, bool is_terminating) {
  int pending_init = 0, pending_sidecars = 0, running = 0, waiting = 0, stopped = 0, final = 0, succeeded = 0;
  bool has_initialized = false;
  for (const auto& status : regular)
    if (status.state.is_running() || (status.state.is_terminated() && !status.container_id.empty())) has_initialized = true;
  for (const auto container : pod.spec().initContainers()) {
    const auto* status = find(init, container.name());
    const auto* end = status ? ended_state(*status) : nullptr;
    if (is_sidecar(container)) {
      if (status && status->state.is_running()) {
        ++running;
        if (!status->is_started) ++pending_sidecars;
      } else if (!end) {
        ++pending_sidecars;
        ++waiting;
      }
      continue;
    }
    if (!end) {
      ++pending_init;
    } else if (end->exit_code != 0 && !restarts_after(container, pod, end->exit_code)) {
      return "Failed";
    }
  }
  for (const auto container : pod.spec().containers()) {
    const auto* status = find(regular, container.name());
    if (status && status->state.is_running()) {
      ++running;
    } else if (const auto* end = status ? ended_state(*status) : nullptr) {
      ++stopped;
      if (!restarts_after(container, pod, end->exit_code)) ++final;
      if (end->exit_code == 0 && status->state.is_terminated()) ++succeeded;
    } else {
      ++waiting;
    }
  }
  if (pending_init > 0 || (pending_sidecars > 0 && !has_initialized) || waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped == 0) return "Pending";
  if (!is_terminating && stopped != final) return "Running";  // some are about to start again
  return stopped == succeeded ? "Succeeded" : "Failed";
}

namespace {

ConditionModel containers_ready(const core_v1::Pod& pod, const Statuses& init, const Statuses& regular, std::string_view phase) {
  std::vector<std::string> unready;
  for (const auto container : pod.spec().initContainers())
    if (is_sidecar(container)) {
      const auto* status = find(init, container.name());
      if (!status || !status->is_ready) unready.emplace_back(container.name());
    }
  for (const auto& status : regular)
    if (!status.is_ready) unready.push_back(status.name);
  if (phase == "Succeeded") return {"ContainersReady", "False", "PodCompleted", ""};
  if (phase == "Failed") return {"ContainersReady", "False", "PodFailed", ""};
  if (!unready.empty())
    return {"ContainersReady", "False", "ContainersNotReady", "containers with unready status: " + names(unready)};
  return {"ContainersReady", "True", "", ""};
}

ConditionModel initialized(const core_v1::Pod& pod, const Statuses& init, const Statuses& regular, std::string_view phase) {
  if (phase == "Succeeded") return {"Initialized", "True", "PodCompleted", ""};
  for (const auto& status : regular)
    if (status.state.is_running() || status.state.is_terminated() || status.last_state.is_terminated())
      return {"Initialized", "True", "", ""};
  std::vector<std::string> incomplete;
  for (const auto container : pod.spec().initContainers()) {
    const auto* status = find(init, container.name());
    if (!status || !is_initialized(container, *status)) incomplete.emplace_back(container.name());
  }
  if (incomplete.empty()) return {"Initialized", "True", "", ""};
  return {"Initialized", "False", "ContainersNotInitialized", "containers with incomplete status: " + names(incomplete)};
}

ConditionModel ready(const core_v1::Pod& pod, ConditionModel containers) {
  containers.type = "Ready";
  if (containers.status != "True") return containers;
  std::vector<std::string> missing;
  for (const auto gate : pod.spec().readinessGates()) {
    bool is_found = false, is_true = false;
    std::string value;
    for (const auto condition : pod.status().conditions())
      if (condition.type() == gate.conditionType()) {
        is_found = true;
        value = condition.status();
        is_true = value == "True";
      }
    if (!is_found)
      missing.push_back(fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.conditionType()));
    else if (!is_true)
      missing.push_back(fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}", gate.conditionType(), value));
  }
  if (missing.empty()) return containers;
  return {"Ready", "False", "ReadinessGatesNotReady", fmt::format("{}", fmt::join(missing, ", "))};
}

}  // namespace

std::vector<ConditionModel> pod_conditions(const core_v1::Pod& pod, const Statuses& init, const Statuses& regular,
                                           std::string_view phase, bool has_sandbox) {
  auto containers = containers_ready(pod, init, regular, phase);
  return {{"PodReadyToStartContainers", has_sandbox ? "True" : "False", "", ""},
          initialized(pod, init, regular, phase),
          ready(pod, containers),
          containers,
          {"PodScheduled", "True", "", ""}};
}

}  // namespace rusternetes::kubelet
