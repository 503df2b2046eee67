#include "scheduler/framework.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;

constexpr std::string_view any_address = "0.0.0.0";

// The same port of the same protocol, on the same address or on all of them.
bool is_taken(const HostPort& wanted, const std::multiset<HostPort>& used) {
  for (auto it = used.lower_bound({wanted.protocol, wanted.port, {}});
       it != used.end() && it->protocol == wanted.protocol && it->port == wanted.port; ++it)
    if (wanted.ip == any_address || it->ip == any_address || it->ip == wanted.ip) return true;
  return false;
}

class NodePorts final : public Plugin {
 public:
  std::string_view name() const override { return "NodePorts"; }
  NodeFilter prepare(const core_v1::Pod& pod, const Cache&) const override {
    auto wanted = host_ports(pod);
    if (wanted.empty()) return {};
    return [wanted = std::move(wanted)](const NodeInfo& node) -> std::vector<Refusal> {
      for (const auto& port : wanted)
        if (is_taken(port, node.used_ports))
          return {{"node(s) didn't have free ports for the requested pod ports", false}};
      return {};
    };
  }
};

}  // namespace
std::unique_ptr<Plugin> make_node_ports() { return std::make_unique<NodePorts>(); }
}  // namespace rusternetes::scheduler
