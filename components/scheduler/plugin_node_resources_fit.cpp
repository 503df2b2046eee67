#include <fmt/format.h>

#include "scheduler/framework.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;

std::int64_t get(const Amounts& amounts, std::string_view name) {
  const auto it = amounts.find(name);
  return it == amounts.end() ? 0 : it->second;
}

class NodeResourcesFit final : public Plugin {
 public:
  std::string_view name() const override { return "NodeResourcesFit"; }
  std::vector<Refusal> filter(const core_v1::Pod& pod, const NodeInfo& node) const override {
    std::vector<Refusal> out;
    if (static_cast<std::int64_t>(node.pods.size()) + 1 > get(node.allocatable, "pods")) out.push_back({"Too many pods", false});
    for (const auto& [resource, amount] : pod_requests(pod)) {
      if (amount == 0) continue;
      const std::int64_t all = get(node.allocatable, resource);
      if (amount > all - get(node.requested, resource)) out.push_back({fmt::format("Insufficient {}", resource), amount > all});
    }
    return out;
  }
  // LeastAllocated over cpu and memory: spread.
  std::int64_t score(const core_v1::Pod& pod, const NodeInfo& node) const override {
    const Amounts wanted = pod_requests(pod);
    std::int64_t total = 0;
    for (const char* resource : {"cpu", "memory"}) {
      const std::int64_t all = get(node.allocatable, resource);
      // What asks for nothing still takes something (GetNonzeroRequests).
      const std::int64_t least = std::string_view(resource) == "cpu" ? 100 : 200ll << 20;
      const std::int64_t used = get(node.requested, resource) + std::max(least, get(wanted, resource));
      if (all > 0 && used <= all) total += (all - used) * 100 / all;
    }
    return total / 2;
  }
};

}  // namespace
std::unique_ptr<Plugin> make_node_resources_fit() { return std::make_unique<NodeResourcesFit>(); }
}  // namespace rusternetes::scheduler
