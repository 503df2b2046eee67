#pragma once
// What the runtime has of one Pod, as decisions read it.

#include <string>
#include <string_view>
#include <vector>

#include "engine/runtime.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

struct PodRuntimeState {
  std::vector<engine::SandboxStatus> sandboxes;     // newest first
  std::vector<engine::ContainerStatus> containers;  // newest first
  std::vector<std::string> pod_ips;                 // of the newest sandbox, once it is wired

  // The newest sandbox, or null.
  const engine::SandboxStatus* sandbox() const { return sandboxes.empty() ? nullptr : &sandboxes.front(); }
  // The newest container of that name, or null; with `sandbox_id` only of that sandbox.
  const engine::ContainerStatus* find(std::string_view name, std::string_view sandbox_id = {}) const;
  bool has_running_containers() const;
  // Puts the newest first.
  void sort();
};

// What the API still knows and the runtime has forgotten: after a host's restart some engines show containers that ran as
// never started, with exit code 0 (hosts.md §8). Such ones become exited, with what status says of them.
void complete_from_status(const core_v1::Pod& pod, PodRuntimeState& state);

// "podman://ID".
std::string container_id_text(std::string_view runtime_name, std::string_view id);

}  // namespace rusternetes::kubelet
