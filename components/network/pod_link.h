#pragma once
// A Pod's wire: a veth between the Pod's namespace and its node's. The Pod has a host address and its node's
// own address as gateway with link scope; the node has nothing but the route to the Pod. No bridge and no
// proxy ARP, so the node's forward chain sees every packet.

#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

struct PodLink {
  std::string cluster;
  std::string id;                    // the Pod's UID: one wire each
  std::vector<IpAddress> addresses;  // at least one; at most one of each family
  // The node's own IPv4 address. Needed by an IPv4 Pod; an IPv6 Pod uses fe80::1, which the node's end
  // carries, since neighbour discovery answers only for addresses of the link itself.
  IpAddress gateway;
  int mtu = 0;  // of the node's uplink; 0: 1500
  std::string interface = "eth0";
};

// Leaves an intact wire alone, so that connections live on; anything stale of the same Pod is deleted first
// and made again with the same address. Refuses an `interface` in the Pod that is not ours (AlreadyExists).
Result<> wire_pod(const NetworkNamespace& node, const NetworkNamespace& pod, const PodLink& wanted);

// Deletes both ends, from the node's side: before the sandbox is removed, as engines let it linger. Absent is
// success.
Result<> unwire_pod(const NetworkNamespace& node, std::string_view cluster, std::string_view id);

// The ids (aliases' last word) of the Pods of `cluster` that are wired to the node.
Result<std::vector<std::string>> wired_pods(const NetworkNamespace& node, std::string_view cluster);

}  // namespace rusternetes::network
