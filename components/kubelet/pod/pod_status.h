#pragma once
// Pod.status as clients know it, from what the runtime has: plain functions over the last status, so that what was once
// said (restart counts, last states, transition times) is kept when the runtime has forgotten it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apimachinery/document.h"
#include "kubelet/pod/runtime_state.h"
#include "kubelet/probe/results.h"

namespace rusternetes::kubelet {

// ContainerState: at most one of three.
struct StateModel {
  enum class Kind { none, waiting, running, terminated } kind = Kind::none;
  std::string reason, message;
  int exit_code = 0;
  std::int64_t started_at_us = 0, finished_at_us = 0;  // whole seconds
  std::string container_id;

  bool is_waiting() const { return kind == Kind::waiting; }
  bool is_running() const { return kind == Kind::running; }
  bool is_terminated() const { return kind == Kind::terminated; }
  static StateModel waiting(std::string reason, std::string message = {});
};

struct ContainerStatusModel {
  std::string name, image, image_id, container_id;
  StateModel state, last_state;
  std::int64_t restart_count = 0;
  bool is_ready = false;
  bool is_started = false;
};

// Why a container could not be started the last time ("ErrImagePull", "CrashLoopBackOff"), by name.
struct StartFailure {
  std::string reason, message;
  friend bool operator==(const StartFailure&, const StartFailure&) = default;
};
using StartFailures = std::map<std::string, StartFailure, std::less<>>;

struct PodStatusInput {
  const PodRuntimeState* state = nullptr;
  const StartFailures* failures = nullptr;
  const ProbeResults* probes = nullptr;  // null: no container is probed
  std::string runtime_name;  // "podman", in container ids
  std::vector<std::string> host_ips;
  std::int64_t now_us = 0;
  // Being ended for good (deleted, past its deadline): what has stopped stays stopped.
  bool is_terminating = false;
  // Overrides phase, reason and message ("Failed", "DeadlineExceeded", ...); empty: none. A terminal phase, whatever says
  // it, is shown only once no container runs: who waits for it may use what the Pod has held (a port, a volume).
  std::string forced_phase, forced_reason, forced_message;
  // The image id (or a digest reference) of a container's image as status shows it.
  std::map<std::string, std::string> image_refs;
};

// The Pod with its new status. `pod` holds the last one.
Document compute_pod_status(const Document& pod, const PodStatusInput& input);

// Parts, for tests and for other decisions.
std::vector<ContainerStatusModel> container_statuses(const core_v1::Pod& pod, bool is_init, const PodStatusInput& input);
// Never ready, whatever they do: nobody waits for them.
std::vector<ContainerStatusModel> ephemeral_container_statuses(const core_v1::Pod& pod, const PodStatusInput& input);
std::string pod_phase(const core_v1::Pod& pod, const std::vector<ContainerStatusModel>& init,
                      const std::vector<ContainerStatusModel>& regular, bool is_terminating);

struct ConditionModel {
  std::string type, status, reason, message;
};
// PodReadyToStartContainers, Initialized, Ready, ContainersReady, PodScheduled.
std::vector<ConditionModel> pod_conditions(const core_v1::Pod& pod, const std::vector<ContainerStatusModel>& init,
                                           const std::vector<ContainerStatusModel>& regular, std::string_view phase,
                                           bool has_sandbox);

}  // namespace rusternetes::kubelet
