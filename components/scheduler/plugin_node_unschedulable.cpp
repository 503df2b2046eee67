#include "scheduler/framework.h"
#include "scheduler/node_selection.h"

namespace rusternetes::scheduler {
namespace {

class NodeUnschedulable final : public Plugin {
 public:
  std::string_view name() const override { return "NodeUnschedulable"; }
  std::vector<Refusal> filter(const apimachinery::core_v1::Pod& pod, const NodeInfo& node) const override {
    if (!apimachinery::core_v1::Node(&node.node.root()).spec().unschedulable()) return {};
    for (const auto toleration : pod.spec().tolerations()) {
      const bool effect = toleration.effect().empty() || toleration.effect() == "NoSchedule";
      const bool key = toleration.key() == "node.kubernetes.io/unschedulable" || (toleration.key().empty() && toleration.operator_() == "Exists");
      if (effect && key) return {};
    }
    return {{"node(s) were unschedulable", true}};
  }
};

}  // namespace
std::unique_ptr<Plugin> make_node_unschedulable() { return std::make_unique<NodeUnschedulable>(); }
}  // namespace rusternetes::scheduler
