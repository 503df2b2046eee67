#include "scheduler/framework.h"

namespace rusternetes::scheduler {
namespace {

class NodeName final : public Plugin {
 public:
  std::string_view name() const override { return "NodeName"; }
  std::vector<Refusal> filter(const apimachinery::core_v1::Pod& pod, const NodeInfo& node) const override {
    const auto wanted = pod.spec().nodeName();
    if (wanted.empty() || wanted == apimachinery::core_v1::Node(&node.node.root()).metadata().name()) return {};
    return {{"node(s) didn't match the requested node name", true}};
  }
};

}  // namespace
std::unique_ptr<Plugin> make_node_name() { return std::make_unique<NodeName>(); }
}  // namespace rusternetes::scheduler
