#pragma once
// The bridge of an engine's network on which a cluster's node containers are: found by the gateway's address,
// since who makes the network may have named it anyhow (podman1), and marked as a cluster's where its name
// does not say so.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "network/netlink.h"

namespace rusternetes::network {

// The group of every cluster's bridges that an engine has named: "rn" in ASCII.
inline constexpr std::uint32_t cluster_link_group = 0x726e;

// By its name, or the link that has one of the gateways' addresses; nothing as long as there is none (Podman
// makes a bridge with the first container on it).
Result<std::optional<Link>> find_bridge(Netlink& host, std::string_view name,
                                        const std::vector<IpAddress>& gateways);

// Gives a bridge that does not have the cluster's names the group and an alias that says whose it is. True:
// it had not.
Result<bool> mark_bridge(Netlink& host, std::string_view cluster, const Link& bridge);
// Takes them from every link of the cluster.
Result<> unmark_bridges(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
