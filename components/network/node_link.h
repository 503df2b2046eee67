#pragma once
// The wire between the host and a node that is a namespace of its own (all-in-one): a veth with one host
// address at each end, the node's default route, and the host's routes to the node's Pods and to the
// cluster's services.

#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

// Of one family. The host's address may serve every node of a cluster.
struct NodeAddresses {
  IpAddress host;
  IpAddress node;
};

struct NodeLink {
  std::string cluster;
  std::string node;                      // the node's name: one link each
  std::vector<NodeAddresses> addresses;  // at least one; at most one of each family
  std::vector<IpPrefix> pod_cidrs;
  std::vector<IpPrefix> service_ranges;  // empty for a node that does not translate for the host
  int mtu = 0;                           // of the host's uplink; 0: 1500
  std::string interface = "eth0";        // in the node
};

// The host's end. What a host's service drop must allow.
std::string node_link_name(std::string_view cluster, std::string_view node);

// Leaves an intact link alone; makes a stale one again. Refuses (FailedPrecondition) to route a service range
// to the node before host and node both drop what is left untranslated: see service_drop.h.
Result<> connect_node(const NetworkNamespace& host, const NetworkNamespace& node, const NodeLink& wanted);

// Deletes the link and with it every route and address on it. Absent is success; the node's namespace may be
// gone.
Result<> disconnect_node(const NetworkNamespace& host, std::string_view cluster, std::string_view node);

// Deletes every link of the cluster in the namespace, whoever made it; returns their names.
Result<std::vector<std::string>> delete_cluster_links(const NetworkNamespace& where,
                                                      std::string_view cluster);

}  // namespace rusternetes::network
