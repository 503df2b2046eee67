#include "kube-proxy/endpoints.h"

#include <algorithm>
#include <map>
#include <set>

#include "apimachinery/api/discovery_v1.h"
#include "kube-proxy/lenient.h"

namespace rusternetes::kube_proxy {

using namespace apimachinery;

namespace {

template <class List>
std::vector<std::string> names(const List& list) {
  std::vector<std::string> out;
  for (const auto each : list) out.emplace_back(each.name());
  return out;
}

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::ranges::find(list, name) != list.end();
}

Protocol protocol_of(std::string_view text) {
  return text == "UDP" ? Protocol::udp : text == "SCTP" ? Protocol::sctp : Protocol::tcp;
}

enum class Topology { none, same_node, same_zone };

// A hint counts only when every ready endpoint has one and one of them is for here: else the controller's
// picture is not this node's.
Topology topology_of(const std::vector<Endpoint>& endpoints, const NodeFacts& node) {
  bool all_for_nodes = true, all_for_zones = true, one_for_node = false, one_for_zone = false;
  for (const auto& each : endpoints) {
    if (!each.is_ready) continue;
    all_for_nodes &= !each.nodes.empty();
    all_for_zones &= !each.zones.empty();
    one_for_node |= has(each.nodes, node.name);
    one_for_zone |= has(each.zones, node.zone);
  }
  if (all_for_nodes && one_for_node) return Topology::same_node;
  if (all_for_zones && one_for_zone) return Topology::same_zone;
  return Topology::none;
}

bool is_for_here(const Endpoint& endpoint, Topology topology, const NodeFacts& node) {
  return topology == Topology::none ||
         (topology == Topology::same_node ? has(endpoint.nodes, node.name) : has(endpoint.zones, node.zone));
}

bool is_leaving(const Endpoint& endpoint) { return endpoint.is_serving && endpoint.is_terminating; }

template <class Wanted>
std::vector<const Endpoint*> those(const std::vector<Endpoint>& endpoints, Wanted wanted) {
  std::vector<const Endpoint*> out;
  for (const auto& each : endpoints)
    if (wanted(each)) out.push_back(&each);
  return out;
}

}  // namespace

std::vector<Endpoint> endpoints_of(const std::vector<Document>& slices, Family family,
                                   std::string_view port_name, Protocol protocol, const NodeFacts& node) {
  std::map<std::pair<IpAddress, std::uint16_t>, Endpoint> found;
  const std::string_view type = family == Family::v4 ? "IPv4" : "IPv6";
  for (const auto& document : slices) {
    const discovery_v1::EndpointSlice slice(&document.root());
    if (slice.addressType() != type) continue;
    for (const auto port : slice.ports()) {
      if (port.name() != port_name || protocol_of(port.protocol()) != protocol) continue;
      const auto number = port.port();
      if (number <= 0 || number > 65535) continue;
      for (const auto each : slice.endpoints()) {
        if (each.addresses().empty()) continue;
        const auto address = lenient_address(each.addresses()[0]);
        if (!address || family_of(*address) != family) continue;
        Endpoint out;
        out.address = *address;
        out.port = static_cast<std::uint16_t>(number);
        out.is_local = !node.name.empty() && each.nodeName() == node.name;
        out.may_be_local = out.is_local || each.nodeName().empty();
        const auto conditions = each.conditions();
        out.is_ready = conditions.ready(true);
        out.is_serving = conditions.serving(true);
        out.is_terminating = conditions.terminating(false);
        out.zones = names(each.hints().forZones());
        out.nodes = names(each.hints().forNodes());
        const auto key = std::pair{out.address, out.port};
        const bool is_local = out.is_local;
        const auto [at, is_new] = found.try_emplace(key, std::move(out));
        if (!is_new && is_local) at->second = std::move(out);
      }
    }
  }
  std::vector<Endpoint> out;
  out.reserve(found.size());
  for (auto& [key, endpoint] : found) out.push_back(std::move(endpoint));
  return out;
}

ChosenEndpoints choose_endpoints(const std::vector<Endpoint>& endpoints, bool uses_cluster, bool uses_local,
                                 const NodeFacts& node) {
  ChosenEndpoints out;
  if (uses_cluster) {
    const Topology topology = topology_of(endpoints, node);
    out.cluster =
        those(endpoints, [&](const Endpoint& e) { return e.is_ready && is_for_here(e, topology, node); });
    if (out.cluster.empty()) out.cluster = those(endpoints, is_leaving);
    out.has_any = !out.cluster.empty();
  }
  if (!uses_local) {
    out.all = out.cluster;
    return out;
  }
  out.has_any |=
      std::ranges::any_of(endpoints, [](const Endpoint& e) { return e.is_ready || is_leaving(e); });
  out.local = those(endpoints, [](const Endpoint& e) { return e.is_local && e.is_ready; });
  if (out.local.empty())
    out.local = those(endpoints, [](const Endpoint& e) { return e.is_local && is_leaving(e); });
  std::set<const Endpoint*> both(out.cluster.begin(), out.cluster.end());
  both.insert(out.local.begin(), out.local.end());
  out.all.assign(both.begin(), both.end());  // by address in one vector: their order
  return out;
}

}  // namespace rusternetes::kube_proxy
