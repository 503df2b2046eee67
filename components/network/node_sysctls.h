#pragma once
// The kernel settings of a node's and a Pod's namespace: what routing needs, and what engines set
// differently.

#include <optional>
#include <string>

#include "network/namespace.h"

namespace rusternetes::network {

// Routing on; no redirects (the sender's other way around the node does not exist); no limit on ICMP errors,
// without which a Pod learns of a rejected packet a second late. `uplink` is the node's link to the host or
// the engine's network; it must exist. IPv6 settings are written where the kernel has IPv6.
Result<> prepare_node(const NetworkNamespace& node, std::string uplink = "eth0");

// What is not named stays as the sandbox was made with it: a Pod's spec may set the last two, and the engine's runtime gives
// the others one default on every engine.
struct PodSysctls {
  bool is_ipv6_enabled = true;                   // Docker makes sandboxes with IPv6 off, Podman with IPv6 on
  std::optional<int> unprivileged_port_start;    // ports from here on need no capability
  std::optional<std::string> ping_group_range;   // groups that may open ICMP sockets: "0 2147483647"
};
Result<> prepare_pod(const NetworkNamespace& pod, PodSysctls wanted = {});

// Turns forwarding on or off in the host's namespace, each family for itself: one that is not named is left as it is, since
// others may stand on it. Returns what stood before of those that were named, so that an undo can put it back with the same
// call. Without IPv6 in the kernel, that is never named.
struct Forwarding {
  std::optional<bool> ipv4, ipv6;
};
Result<Forwarding> set_forwarding(const NetworkNamespace& host, Forwarding wanted);

// Lets packets from 127.0.0.0/8 leave through `interface` ("all" for every one), as a NodePort on 127.0.0.1
// needs.
Result<> set_route_localnet(const NetworkNamespace& where, std::string interface, bool is_on);

}  // namespace rusternetes::network
