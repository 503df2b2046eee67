// Conditions of a node as NoSchedule taints (pkg/controller/nodelifecycle doNoScheduleTaintingPass).

#include <fmt/format.h>

#include <array>
#include <map>

#include "base/log.h"
#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/node_taint_plan.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Node;

namespace {

constexpr Resource nodes{"", "v1", "nodes"};

class NodeTaintController final : public Controller, public client::Reconciler {
 public:
  explicit NodeTaintController(Context& context)
      : client_(context.make_client("node-controller")),
        nodes_(context.informer(nodes)),
        loop_("node-lifecycle-controller", client_->executor(), *this) {
    nodes_.add_handler({[this](const Document&, const Document& now) {
      if (now) loop_.queue().add(std::string(client::name_of(now)));
    }});
  }
  void start(TaskGroup& tasks) override { loop_.start(tasks); }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document node = nodes_.get(name);
    if (!node) co_return client::ReconcileResult{};
    client::ObjectBuilder builder(node);
    if (!set_condition_taints(builder.arena(), builder.root())) co_return client::ReconcileResult{};
    auto updated = co_await client_->update(nodes, "", name, "", builder.freeze(), {});
    if (!updated) co_return updated.error();
    co_return client::ReconcileResult{};
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  client::Informer& nodes_;
  client::ControllerLoop loop_;
};

}  // namespace

bool set_condition_taints(Arena& arena, Value& node) {
  const Node view(&node);
  std::map<std::string_view, bool> wanted = {
      {"node.kubernetes.io/not-ready", false},
      {"node.kubernetes.io/unreachable", false},
      {"node.kubernetes.io/memory-pressure", false},
      {"node.kubernetes.io/disk-pressure", false},
      {"node.kubernetes.io/pid-pressure", false},
      {"node.kubernetes.io/network-unavailable", false},
      {"node.kubernetes.io/unschedulable", view.spec().unschedulable()}};
  for (const auto condition : view.status().conditions()) {
    const bool is_true = condition.status() == "True";
    if (condition.type() == "Ready") {
      wanted["node.kubernetes.io/not-ready"] = condition.status() == "False";
      wanted["node.kubernetes.io/unreachable"] = condition.status() == "Unknown";
    } else if (condition.type() == "MemoryPressure")
      wanted["node.kubernetes.io/memory-pressure"] = is_true;
    else if (condition.type() == "DiskPressure")
      wanted["node.kubernetes.io/disk-pressure"] = is_true;
    else if (condition.type() == "PIDPressure")
      wanted["node.kubernetes.io/pid-pressure"] = is_true;
    else if (condition.type() == "NetworkUnavailable")
      wanted["node.kubernetes.io/network-unavailable"] = is_true;
  }
  bool is_changed = false;
  Value taints = Value::empty(ValueKind::list);
  using T = core_v1::Taint;
  if (const Value* present = descend(&node, Node::f_spec, core_v1::NodeSpec::f_taints))
    for (const auto& taint : present->children()) {
      const T one(&taint);
      const auto it = wanted.find(one.key());
      const bool is_ours = it != wanted.end() && one.effect() == "NoSchedule";
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
    set_string(arena, taint, T::f_effect, "NoSchedule");
  }
  if (!is_changed) return false;
  Value& spec = ensure(arena, node, Node::f_spec);
  if (taints.size)
    assign(set_field(arena, spec, core_v1::NodeSpec::f_taints), taints);
  else
    erase_field(spec, core_v1::NodeSpec::f_taints);
  return true;
}

std::unique_ptr<Controller> make_node_taint_controller(Context& context) {
  return std::make_unique<NodeTaintController>(context);
}

}  // namespace rusternetes::controller_manager
