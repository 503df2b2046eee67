#include "host-agent/plan.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>

namespace rusternetes::host_agent {

bool contains(const std::vector<IpPrefix>& ranges, const IpPrefix& range) {
  return std::ranges::any_of(ranges, [&](const IpPrefix& one) { return one.masked() == range.masked(); });
}

namespace {

bool contains(const std::vector<IpPrefix>& ranges, const IpPrefix& range) {
  return std::ranges::any_of(ranges, [&](const IpPrefix& one) {
    return one.length() <= range.length() && one.contains(range.address());
  });
}

// A node's address on the bridge: another one is none of the cluster's network, whoever wrote it into the
// Node.
const IpAddress* address_of(const HostAgentOptions& options, const NodeState& node, int family) {
  const auto found = std::ranges::find_if(node.addresses, [&](const IpAddress& address) {
    const bool is_host = std::ranges::find(options.gateways, address) != options.gateways.end();
    return address.family() == family && !is_host && contains(options.networks, IpPrefix::host(address));
  });
  return found == node.addresses.end() ? nullptr : &*found;
}

// Ready ones first, then by name.
std::vector<const NodeState*> in_order(const std::vector<NodeState>& nodes) {
  std::vector<const NodeState*> out;
  for (const auto& node : nodes) out.push_back(&node);
  std::ranges::sort(out, [](const NodeState* a, const NodeState* b) {
    return a->is_ready != b->is_ready ? a->is_ready : a->name < b->name;
  });
  return out;
}

void plan_pod_routes(const HostAgentOptions& options, const std::vector<const NodeState*>& nodes, Plan& out) {
  std::map<IpPrefix, const NodeState*> taken;
  for (const NodeState* node : nodes)
    for (const auto& each : node->pod_cidrs) {
      const IpPrefix range = each.masked();
      const auto problem = [&](std::string message) {
        out.problems.push_back({node->name, std::move(message)});
      };
      const IpAddress* gateway = address_of(options, *node, range.address().family());
      const auto other = std::ranges::find_if(taken, [&](const auto& t) { return t.first.overlaps(range); });
      if (!contains(options.pod_ranges, range)) {
        problem(fmt::format("the host has no route to {}: it is outside the cluster's Pod range",
                            range.to_string()));
      } else if (other != taken.end()) {
        problem(fmt::format("the host has no route to {} by it: node {} has {}", range.to_string(),
                            other->second->name, other->first.to_string()));
      } else if (!gateway) {
        problem(
            fmt::format("the host has no route to {}: the node has no InternalIP in the cluster's network",
                        range.to_string()));
      } else {
        taken.emplace(range, node);
        out.pod_routes.push_back({range, *gateway});
      }
    }
  std::ranges::sort(out.pod_routes);
  std::ranges::sort(out.problems);
}

const IpAddress* choose_entry(const HostAgentOptions& options, const std::vector<const NodeState*>& nodes,
                              const std::vector<IpAddress>& present, int family) {
  const IpAddress *stays = nullptr, *first = nullptr;
  bool is_stays_ready = false, is_first_ready = false;
  for (const NodeState* node : nodes) {
    const IpAddress* address = address_of(options, *node, family);
    if (!address) continue;
    if (!first) first = address, is_first_ready = node->is_ready;
    if (std::ranges::find(present, *address) != present.end())
      stays = address, is_stays_ready = node->is_ready;
  }
  return stays && (is_stays_ready || !is_first_ready) ? stays : first;
}

}  // namespace

Plan decide(const HostAgentOptions& options, const std::vector<NodeState>& nodes,
            const std::vector<IpAddress>& present) {
  Plan out;
  const auto ordered = in_order(nodes);
  plan_pod_routes(options, ordered, out);
  for (const int family : {AF_INET, AF_INET6}) {
    const IpAddress* entry = choose_entry(options, ordered, present, family);
    if (entry) out.entries.push_back(*entry);
  }
  out.forward_to = out.entries;
  for (const NodeState* node : ordered)
    for (const int family : {AF_INET, AF_INET6}) {
      const IpAddress* address = address_of(options, *node, family);
      if (address && node->is_ready && std::ranges::find(out.forward_to, *address) == out.forward_to.end())
        out.forward_to.push_back(*address);
    }
  return out;
}

}  // namespace rusternetes::host_agent
