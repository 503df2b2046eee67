#pragma once
// A host's routes to a cluster whose nodes are on a bridge: to each node's Pods by that node, to services by
// one of them. They are told from all others by a protocol number and a metric that is the cluster's own, so
// that no other route is ever replaced, and these are found whatever became of the bridge.

#include <compare>
#include <functional>
#include <string_view>
#include <vector>

#include "network/netlink.h"

namespace rusternetes::network {

struct ClusterRoute {
  IpPrefix destination;
  IpAddress gateway;  // a node's address
  auto operator<=>(const ClusterRoute&) const = default;
};

// iproute2 shows it as `proto 84`.
inline constexpr std::uint8_t cluster_route_protocol = Route::route_protocol + 2;
std::uint32_t cluster_route_metric(std::string_view cluster);
bool is_cluster_route(const Route& route, std::string_view cluster);

Result<std::vector<ClusterRoute>> cluster_routes(Netlink& host, std::string_view cluster);

// Adds and replaces until `wanted` are there, by the link `bridge`, and deletes what of the cluster's others
// `may_delete` says. True: something was changed. A route that cannot be set does not keep the rest from
// being set; the first failure is returned.
Result<bool> sync_cluster_routes(Netlink& host, std::string_view cluster, int bridge,
                                 const std::vector<ClusterRoute>& wanted,
                                 const std::function<bool(const IpPrefix& destination)>& may_delete);

Result<> remove_cluster_routes(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
