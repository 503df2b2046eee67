#pragma once
// What a host should hold for a cluster whose nodes are containers on a bridge: a function of what the
// cluster is and where its traffic goes now, without I/O.

#include <optional>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/bridge/cluster_routes.h"
#include "network/published_ports.h"

namespace rusternetes::host_agent {

using network::IpAddress;
using network::IpPrefix;

struct HostAgentOptions {
  std::string cluster = "rusternetes";
  std::string bridge;                    // empty: the link that has a gateway's address
  std::vector<IpAddress> gateways;       // the host's on the bridge, at most one of each family
  std::vector<IpPrefix> networks;        // of the bridge
  std::vector<IpPrefix> pod_ranges;      // of all nodes together
  std::vector<IpPrefix> service_ranges;  // that the cluster was made with
  std::vector<network::PublishedPort> published;
  // The type of the condition that a ServiceCIDR gets once its addresses may be given out; empty: none does.
  std::string service_cidr_condition;
};

struct NodeState {
  std::string name;
  std::vector<IpAddress> addresses;  // InternalIP
  std::vector<IpPrefix> pod_cidrs;
  bool is_ready = false;
  bool operator==(const NodeState&) const = default;
};

struct AddedRange {  // of a ServiceCIDR
  std::string owner;
  IpPrefix range;
  bool operator==(const AddedRange&) const = default;
};

// As the API says; nothing: it has not been heard yet.
struct ClusterState {
  std::optional<std::vector<NodeState>> nodes;
  std::optional<std::vector<AddedRange>> ranges;
  bool operator==(const ClusterState&) const = default;
};

// Something that an object asks for and does not get.
struct Problem {
  std::string object;  // its name
  std::string message;
  auto operator<=>(const Problem&) const = default;
};

// Whether it is one of them; not whether it is within one.
bool contains(const std::vector<IpPrefix>& ranges, const IpPrefix& range);

struct Plan {
  std::vector<network::ClusterRoute> pod_routes;
  // Where services and published ports lead, at most one of each family.
  std::vector<IpAddress> entries;
  // The addresses of nodes that can take connections, the entries first.
  std::vector<IpAddress> forward_to;
  std::vector<Problem> problems;  // of Nodes
};

// `present`: the entries up to now. They stay as long as their node is Ready, so that a node that comes back
// takes no connection from the one that has them; else the first Ready node by name. Without any, a node that
// is not Ready is better than none.
Plan decide(const HostAgentOptions& options, const std::vector<NodeState>& nodes,
            const std::vector<IpAddress>& present);

}  // namespace rusternetes::host_agent
