#include <fmt/format.h>

#include "scheduler/framework.h"
#include "scheduler/node_selection.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;

bool is_tolerated(const core_v1::Pod& pod, const core_v1::Taint& taint) {
  for (const auto toleration : pod.spec().tolerations())
    if (tolerates(toleration, taint)) return true;
  return false;
}

class TaintToleration final : public Plugin {
 public:
  std::string_view name() const override { return "TaintToleration"; }
  std::vector<Refusal> filter(const core_v1::Pod& pod, const NodeInfo& node) const override {
    for (const auto taint : core_v1::Node(&node.node.root()).spec().taints()) {
      if (taint.effect() != "NoSchedule" && taint.effect() != "NoExecute") continue;
      if (!is_tolerated(pod, taint))
        return {{fmt::format("node(s) had untolerated taint(s) {{{}: {}}}", taint.key(), taint.value_()), true}};
    }
    return {};
  }
  // The fewer taints the Pod only puts up with, the better.
  std::int64_t score(const core_v1::Pod& pod, const NodeInfo& node) const override {
    std::int64_t bad = 0;
    for (const auto taint : core_v1::Node(&node.node.root()).spec().taints())
      if (taint.effect() == "PreferNoSchedule" && !is_tolerated(pod, taint)) ++bad;
    return std::max<std::int64_t>(0, 100 - 10 * bad);
  }
  std::int64_t weight() const override { return 3; }
};

}  // namespace
std::unique_ptr<Plugin> make_taint_toleration() { return std::make_unique<TaintToleration>(); }
}  // namespace rusternetes::scheduler
