#pragma once
// When a node was last heard of, and what becomes of it when that is too long ago. Signs of life are a new
// lastHeartbeatTime of its Ready condition and a renewed Lease (KEP-589); both count from when they are seen
// here, so that nobody's clock but this process' matters. Pure.

#include <optional>

#include "apimachinery/api/core_v1.h"
#include "base/clock.h"
#include "controller-manager/node_lifecycle_options.h"

namespace rusternetes::controller_manager {

class NodeHealth {
 public:
  // The Node as it is now, each time that it changes. `wall` is the time that its creationTimestamp is of.
  void observe(const apimachinery::core_v1::Node& node, SteadyTime now, SystemTime wall);
  // spec.renewTime of its Lease.
  void observe_lease(std::int64_t renewed_us, SteadyTime now);
  // As if it had been heard of now.
  void forgive(SteadyTime now) { heard_at_ = now; }
  // From here on it is silent.
  SteadyTime deadline(const NodeLifecycleOptions& options) const;

 private:
  bool is_known_ = false;
  std::optional<std::int64_t> heartbeat_us_;  // absent: it has no Ready condition
  std::optional<std::int64_t> renewed_us_;
  SteadyTime heard_at_{};
};

// The first multiple of `period`, counted from `start`, that is not before `deadline`.
SteadyTime next_check(SteadyTime deadline, SteadyTime start, std::chrono::nanoseconds period);

// status of the condition of that type; empty when there is none.
std::string_view condition_status(const apimachinery::core_v1::Node& node, std::string_view type);

// What a silent node's kubelet would say of it is Unknown: Ready and the pressures on memory, disk and PIDs
// (not NetworkUnavailable, which others keep). False when all are already.
bool set_conditions_unknown(apimachinery::Arena& arena, apimachinery::Value& node, std::int64_t now_us);

}  // namespace rusternetes::controller_manager
