#include <map>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "controller-manager/node_lifecycle_health.h"
#include "controller-manager/node_taint_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Node;
using meta_v1::ObjectMeta;
using T = core_v1::Taint;

namespace {

constexpr std::string_view not_ready = "node.kubernetes.io/not-ready",
                           unreachable = "node.kubernetes.io/unreachable";

// Of the taints with `effect`, those named in `wanted` become what it says; all others stay. In place order,
// new ones at the end.
bool set_taints(Arena& arena, Value& node, std::string_view effect, std::map<std::string_view, bool> wanted,
                std::int64_t now_us) {
  bool is_changed = false;
  Value taints = Value::empty(ValueKind::list);
  if (const Value* present = descend(&node, Node::f_spec, core_v1::NodeSpec::f_taints))
    for (const auto& taint : present->children()) {
      const T one(&taint);
      const auto it = wanted.find(one.key());
      const bool is_ours = it != wanted.end() && one.effect() == effect;
      if (is_ours && !it->second) {
        is_changed = true;
        continue;
      }
      if (is_ours) it->second = false;  // it is there
      append(arena, taints, deep_copy(arena, taint));
    }
  for (const auto& [key, is_wanted] : wanted) {
    if (!is_wanted) continue;
    is_changed = true;
    Value& taint = append_structure(arena, taints);
    set_string(arena, taint, T::f_key, key);
    set_string(arena, taint, T::f_effect, effect);
    set_time(arena, taint, T::f_timeAdded, now_us - now_us % 1'000'000);
  }
  if (!is_changed) return false;
  Value& spec = ensure(arena, node, Node::f_spec);
  if (taints.size)
    assign(set_field(arena, spec, core_v1::NodeSpec::f_taints), taints);
  else
    erase_field(spec, core_v1::NodeSpec::f_taints);
  return true;
}

bool has_no_execute(const Node& node) {
  for (const auto taint : node.spec().taints())
    if (taint.effect() == "NoExecute" && (taint.key() == not_ready || taint.key() == unreachable))
      return true;
  return false;
}

}  // namespace

bool set_condition_taints(Arena& arena, Value& node, std::int64_t now_us) {
  const Node view(&node);
  const auto is_true = [&](std::string_view type) { return condition_status(view, type) == "True"; };
  const std::string_view ready = condition_status(view, "Ready");
  return set_taints(arena, node, "NoSchedule",
                    {{not_ready, ready == "False"},
                     {unreachable, ready == "Unknown"},
                     {"node.kubernetes.io/memory-pressure", is_true("MemoryPressure")},
                     {"node.kubernetes.io/disk-pressure", is_true("DiskPressure")},
                     {"node.kubernetes.io/pid-pressure", is_true("PIDPressure")},
                     {"node.kubernetes.io/network-unavailable", is_true("NetworkUnavailable")},
                     {"node.kubernetes.io/unschedulable", view.spec().unschedulable()}},
                    now_us);
}

bool set_no_execute_taint(Arena& arena, Value& node, NoExecute wanted, std::int64_t now_us) {
  if (wanted == NoExecute::leave) return false;
  return set_taints(
      arena, node, "NoExecute",
      {{not_ready, wanted == NoExecute::not_ready}, {unreachable, wanted == NoExecute::unreachable}}, now_us);
}

NoExecute wanted_no_execute(const Node& node, bool is_its_turn, bool is_stopped) {
  const std::string_view ready = condition_status(node, "Ready");
  if (ready == "True") return NoExecute::none;
  if (ready != "False" && ready != "Unknown") return NoExecute::leave;  // nobody has said anything of it yet
  if (is_stopped) return NoExecute::none;
  if (!is_its_turn && !has_no_execute(node)) return NoExecute::leave;
  return ready == "False" ? NoExecute::not_ready : NoExecute::unreachable;
}

bool waits_for_no_execute(const Node& node) {
  const std::string_view ready = condition_status(node, "Ready");
  return (ready == "False" || ready == "Unknown") && !has_no_execute(node);
}

bool set_beta_labels(Arena& arena, Value& node) {
  bool is_changed = false;
  for (const std::string_view word : {"os", "arch"}) {
    const std::string stable = "kubernetes.io/" + std::string(word), beta = "beta." + stable;
    const auto labels = Node(&node).metadata().labels();
    const Value* value = labels.find(stable);
    if (!value || (labels.contains(beta) && labels.get(beta) == value->str())) continue;
    const std::string text(value->str());
    Value& metadata = ensure(arena, node, Node::f_metadata);
    set_map_string(arena, ensure(arena, metadata, ObjectMeta::f_labels, ValueKind::map), beta, text);
    is_changed = true;
  }
  return is_changed;
}

}  // namespace rusternetes::controller_manager
