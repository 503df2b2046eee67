#pragma once
// What to do next for one Pod: a plain function of its spec, what the runtime has of it, and the time. Executed by PodWorker.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kubelet/pod/back_off.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/runtime_state.h"
#include "kubelet/probe/results.h"

namespace rusternetes::kubelet {

struct ContainerToKill {
  std::string id, name;
  std::string message;  // of the Killing event
  std::optional<std::chrono::seconds> grace;  // of the probe that failed; else the Pod's
};

// A crashed container that starts again only later.
struct ContainerInBackOff {
  ContainerRef ref;
  std::chrono::seconds delay;
  SystemTime until;
};

struct PodActions {
  // Every container and the sandbox end. With create_sandbox they are made anew, without it the Pod is finished.
  bool kill_pod = false;
  bool create_sandbox = false;
  std::uint32_t sandbox_attempt = 0;
  std::vector<ContainerRef> containers_to_start;  // in order
  std::vector<ContainerToKill> containers_to_kill;
  std::vector<ContainerInBackOff> in_back_off;
  // When to decide again without an event.
  std::optional<SystemTime> next;
};

// The key of a container's crashes in a BackOff.
std::string back_off_key(const core_v1::Pod& pod, std::string_view container_name);

// Containers by name that could not be made or started, and when that was.
using FailedStarts = std::map<std::string, SystemTime, std::less<>>;

// Ids of containers that were ended in order to start them again: that end is none that a back-off counts from.
using Replaced = std::set<std::string, std::less<>>;

// From when the back-off of that container counts: its last end, or the last start that failed. None: it may start at once.
std::optional<SystemTime> last_end(const PodRuntimeState& state, const FailedStarts& failed_starts, std::string_view name,
                                   const Replaced& replaced = {});

// For a Pod that is to run: neither being deleted nor of a terminal phase.
PodActions compute_pod_actions(const core_v1::Pod& pod, const PodRuntimeState& state, const BackOff& back_off,
                               const FailedStarts& failed_starts, SystemTime now, const ProbeResults& probes = ProbeResults(),
                               const Replaced& replaced = {});

// Whether the Pod needs a (new) sandbox, and which attempt that is.
bool needs_sandbox(const core_v1::Pod& pod, const PodRuntimeState& state, std::uint32_t* attempt = nullptr);

// Whether a container that does not run is to be started.
bool should_be_started(const core_v1::Container& container, const core_v1::Pod& pod, const PodRuntimeState& state);

// Whether an ephemeral container runs or has run, as the runtime or, once that has forgotten it, status says.
bool has_begun(const core_v1::Pod& pod, const PodRuntimeState& state, std::string_view ephemeral_container);

// The order of ending (KEP-753): regular containers together; then sidecars, the last one first. Empty when none runs.
std::vector<std::vector<const engine::ContainerStatus*>> termination_order(const core_v1::Pod& pod,
                                                                            const PodRuntimeState& state);

}  // namespace rusternetes::kubelet
