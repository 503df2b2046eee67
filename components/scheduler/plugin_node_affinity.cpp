#include "scheduler/framework.h"
#include "scheduler/node_selection.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;

class NodeAffinity final : public Plugin {
 public:
  std::string_view name() const override { return "NodeAffinity"; }
  std::vector<Refusal> filter(const core_v1::Pod& pod, const NodeInfo& node) const override {
    if (matches_node(pod, core_v1::Node(&node.node.root()))) return {};
    return {{"node(s) didn't match Pod's node affinity/selector", true}};
  }
  std::int64_t score(const core_v1::Pod& pod, const NodeInfo& node) const override {
    std::int64_t got = 0, most = 0;
    for (const auto term : pod.spec().affinity().nodeAffinity().preferredDuringSchedulingIgnoredDuringExecution()) {
      most += term.weight();
      const auto preference = term.preference();
      const bool is_empty = preference.matchExpressions().empty() && preference.matchFields().empty();
      if (is_empty || matches_term(preference, core_v1::Node(&node.node.root()))) got += term.weight();
    }
    return most ? got * 100 / most : 0;
  }
  std::int64_t weight() const override { return 2; }
};

}  // namespace
std::unique_ptr<Plugin> make_node_affinity() { return std::make_unique<NodeAffinity>(); }
}  // namespace rusternetes::scheduler
