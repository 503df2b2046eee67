// Pods: the STATUS column is the phase unless a container says something nearer.

#include <map>

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

bool is_condition_true(const core_v1::PodStatus& status, std::string_view type) {
  for (const auto condition : status.conditions())
    if (condition.type() == type) return condition.status() == "True";
  return false;
}

std::string end_reason(const core_v1::ContainerStateTerminated& end) {
  if (!end.reason().empty()) return std::string(end.reason());
  return end.signal() ? fmt::format("Signal:{}", end.signal()) : fmt::format("ExitCode:{}", end.exitCode());
}

// What the walk over a Pod's containers finds.
struct PodSummary {
  std::int64_t restarts = 0, ready = 0, last_restart_us = 0;
  std::string reason;
};

// Init containers: those that are done say nothing, the first other one says where the Pod stands.
// Returns whether the Pod is still initializing.
bool summarize_init(const core_v1::Pod& pod, PodSummary& all, PodSummary& sidecars) {
  std::map<std::string_view, bool> is_sidecar;
  for (const auto container : pod.spec().initContainers())
    if (container.restartPolicy() == "Always") is_sidecar[container.name()] = true;
  std::size_t index = 0;
  for (const auto container : pod.status().initContainerStatuses()) {
    const auto i = index++;
    const std::int64_t restarted_us = container.lastState().terminated().finishedAt();
    all.restarts += container.restartCount();
    all.last_restart_us = std::max(all.last_restart_us, restarted_us);
    const bool sidecar = is_sidecar.contains(container.name());
    if (sidecar) {
      sidecars.restarts += container.restartCount();
      sidecars.last_restart_us = std::max(sidecars.last_restart_us, restarted_us);
    }
    const auto state = container.state();
    if (state.terminated() && state.terminated().exitCode() == 0) continue;
    if (sidecar && container.started()) {
      all.ready += container.ready();
      continue;
    }
    if (state.terminated())
      all.reason = "Init:" + end_reason(state.terminated());
    else if (!state.waiting().reason().empty() && state.waiting().reason() != "PodInitializing")
      all.reason = fmt::format("Init:{}", state.waiting().reason());
    else
      all.reason = fmt::format("Init:{}/{}", i, pod.spec().initContainers().size());
    return true;
  }
  return false;
}

// The containers, from the last to the first: the first one's word is the last that counts.
void summarize_containers(const core_v1::PodStatus& status, PodSummary& all) {
  bool has_running = false;
  std::string failure;
  const auto statuses = status.containerStatuses();
  for (std::size_t n = statuses.size(); n-- > 0;) {
    const auto container = statuses[n];
    const auto state = container.state();
    all.restarts += container.restartCount();
    all.last_restart_us =
        std::max<std::int64_t>(all.last_restart_us, container.lastState().terminated().finishedAt());
    if (!state.waiting().reason().empty()) {
      all.reason = state.waiting().reason();
    } else if (state.terminated()) {
      all.reason = end_reason(state.terminated());
      if (state.terminated().exitCode() != 0) failure = all.reason;
    } else if (container.ready() && state.running()) {
      has_running = true;
      ++all.ready;
    }
  }
  if (all.reason != "Completed") return;
  if (has_running && is_condition_true(status, "Ready"))
    all.reason = "Running";
  else if (!failure.empty())
    all.reason = failure;
  else if (has_running)
    all.reason = "NotReady";
}

PodSummary summarize(const core_v1::Pod& pod) {
  const auto status = pod.status();
  PodSummary all, sidecars;
  all.reason = status.reason().empty() ? status.phase() : status.reason();
  for (const auto condition : status.conditions())
    if (condition.type() == "PodScheduled" && condition.reason() == "SchedulingGated")
      all.reason = "SchedulingGated";
  if (!summarize_init(pod, all, sidecars) || is_condition_true(status, "Initialized")) {
    all.restarts = sidecars.restarts;
    all.last_restart_us = sidecars.last_restart_us;
    summarize_containers(status, all);
  }
  if (pod.metadata().has_deletionTimestamp()) {
    if (status.reason() == "NodeLost")
      all.reason = "Unknown";
    else if (status.phase() != "Failed" && status.phase() != "Succeeded")
      all.reason = "Terminating";
  }
  return all;
}

// "1/2" of the readiness gates.
std::string gates_text(const core_v1::Pod& pod) {
  const auto gates = pod.spec().readinessGates();
  if (gates.empty()) return "<none>";
  std::size_t met = 0;
  for (const auto gate : gates) met += is_condition_true(pod.status(), gate.conditionType());
  return fmt::format("{}/{}", met, gates.size());
}

void print_pod(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Pod pod(&object);
  const PodSummary found = summarize(pod);
  std::size_t total = pod.spec().containers().size();
  for (const auto container : pod.spec().initContainers()) total += container.restartPolicy() == "Always";
  std::string restarts = std::to_string(found.restarts);
  if (found.restarts && found.last_restart_us)
    restarts += fmt::format(" ({} ago)", age_of(found.last_restart_us, now_us));
  const auto ips = pod.status().podIPs();
  cells.text(pod.metadata().name());
  cells.text(fmt::format("{}/{}", found.ready, total));
  cells.text(found.reason);
  cells.text(restarts);
  cells.text(age_of(pod.metadata().creationTimestamp(), now_us));
  cells.text(or_none(ips.empty() ? pod.status().podIP() : ips[0].ip()));
  cells.text(or_none(pod.spec().nodeName()));
  cells.text(or_none(pod.status().nominatedNodeName()));
  cells.text(gates_text(pod));
}

constexpr PrinterEntry printers[] = {{"", "", "pods", print_pod}};

}  // namespace

std::string_view pod_row_conditions(const Value& object) {
  const auto phase = core_v1::Pod(&object).status().phase();
  if (phase == "Succeeded")
    return R"([{"type":"Completed","status":"True","reason":"Succeeded","message":"The pod has completed successfully."}])";
  if (phase == "Failed")
    return R"([{"type":"Completed","status":"True","reason":"Failed","message":"The pod failed."}])";
  return {};
}

std::span<const PrinterEntry> pod_printers() { return printers; }

}  // namespace rusternetes::api_server
