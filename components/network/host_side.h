#pragma once
// All that a host holds for a node that is a namespace of its own: the link with its routes, and the rules by which the
// node's packets leave the host and others come in. Made by the launcher, or by a process without one; kept by the process.

#include <string>
#include <string_view>
#include <vector>

#include "network/node_link.h"
#include "network/published_ports.h"
#include "network/service_drop.h"

namespace rusternetes::network {

struct HostSide {
  NodeLink link;  // an mtu of 0 becomes that of the host's uplink
  std::vector<PublishedPort> published;
};

ServiceDrop host_drop(const NodeLink& link);

// The link, the rules but the drop rule, which must stand, and forwarding; the node's own settings are the kubelet's. What is
// right already is left alone.
Result<> make_host_side(const NetworkNamespace& host, const NetworkNamespace& node, const HostSide& wanted);

// Puts back the rules that are missing on a host whose link stands, the drop rule first; says which they were.
Result<std::vector<std::string>> mend_host_rules(const NetworkNamespace& host, const HostSide& wanted);

// All of the cluster's rules but the drop rule: published ports, masquerade, kube-proxy's where the host is the node, and the
// accepts in Docker's chain. Absent is success.
Result<> remove_host_translations(const NetworkNamespace& host, std::string_view cluster);

// All that the host-agent of a cluster has put on the host: routes, rules, marks, the drop rule last. Needs
// no more than the name, whatever became of the cluster's network. Absent is success; what cannot be removed
// keeps nothing else, and is returned.
Result<> remove_cluster_host_side(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
