#include "controller-manager/node_lifecycle_health.h"

#include <algorithm>
#include <array>

#include "apimachinery/edit.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Node;
using core_v1::NodeCondition;

namespace {
constexpr std::string_view never_updated = "NodeStatusNeverUpdated";
}  // namespace

void NodeHealth::observe(const Node& node, SteadyTime now, SystemTime wall) {
  std::optional<std::int64_t> heartbeat_us;
  for (const auto condition : node.status().conditions())
    // With that reason it is our own word (set_conditions_unknown), and no sign of life.
    if (condition.type() == "Ready" && condition.reason() != never_updated)
      heartbeat_us = condition.lastHeartbeatTime();
  if (!is_known_ && !heartbeat_us) {
    const SystemTime created{std::chrono::duration_cast<SystemTime::duration>(
        std::chrono::microseconds(node.metadata().creationTimestamp()))};
    heard_at_ = now - std::clamp<std::chrono::nanoseconds>(wall - created, std::chrono::nanoseconds(0),
                                                           std::chrono::hours(24));
  } else if (!is_known_ || heartbeat_us != heartbeat_us_) {
    heard_at_ = now;
  }
  is_known_ = true;
  heartbeat_us_ = heartbeat_us;
}

void NodeHealth::observe_lease(std::int64_t renewed_us, SteadyTime now) {
  if (renewed_us_ && renewed_us <= *renewed_us_) return;
  renewed_us_ = renewed_us;
  heard_at_ = now;
}

SteadyTime NodeHealth::deadline(const NodeLifecycleOptions& options) const {
  return heard_at_ + (heartbeat_us_ ? options.monitor_grace_period : options.startup_grace_period);
}

SteadyTime next_check(SteadyTime deadline, SteadyTime start, std::chrono::nanoseconds period) {
  if (period.count() <= 0 || deadline <= start) return deadline;
  const auto behind = (deadline - start) % period;
  return behind.count() == 0 ? deadline : deadline + (period - behind);
}

std::string_view condition_status(const Node& node, std::string_view type) {
  for (const auto condition : node.status().conditions())
    if (condition.type() == type) return condition.status();
  return {};
}

bool set_conditions_unknown(Arena& arena, Value& node, std::int64_t now_us) {
  constexpr std::array<std::string_view, 4> types = {"Ready", "MemoryPressure", "DiskPressure",
                                                     "PIDPressure"};
  const std::int64_t created_us = Node(&node).metadata().creationTimestamp();
  Value& status = ensure(arena, node, Node::f_status);
  Value& conditions = ensure(arena, status, core_v1::NodeStatus::f_conditions, ValueKind::list);
  const auto set = [&](Value& condition, std::string_view reason, std::string_view message) {
    set_string(arena, condition, NodeCondition::f_status, "Unknown");
    set_string(arena, condition, NodeCondition::f_reason, reason);
    set_string(arena, condition, NodeCondition::f_message, message);
    set_time(arena, condition, NodeCondition::f_lastTransitionTime, now_us - now_us % 1'000'000);
  };
  bool is_changed = false;
  for (const std::string_view type : types) {
    bool is_there = false;
    for (Value& condition : conditions.children()) {
      const NodeCondition view(&condition);
      if (view.type() != type) continue;
      is_there = true;
      if (view.status() == "Unknown") continue;
      set(condition, "NodeStatusUnknown", "Kubelet stopped posting node status.");
      is_changed = true;
    }
    if (is_there) continue;
    Value& condition = append_structure(arena, conditions);
    set_string(arena, condition, NodeCondition::f_type, type);
    set(condition, never_updated, "Kubelet never posted node status.");
    set_time(arena, condition, NodeCondition::f_lastHeartbeatTime, created_us);
    is_changed = true;
  }
  return is_changed;
}

}  // namespace rusternetes::controller_manager
