#include "network/bridge/cluster_routes.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "network/names.h"

namespace rusternetes::network {

// Thirty bits of the cluster's hash, above any metric that people choose.
std::uint32_t cluster_route_metric(std::string_view cluster) {
  std::uint32_t bits = 1;
  for (const char c : cluster_hash(cluster))
    bits = bits << 5 | static_cast<std::uint32_t>(c >= 'a' ? c - 'a' : c - '2' + 26);
  return bits;
}

bool is_cluster_route(const Route& route, std::string_view cluster) {
  return route.protocol == cluster_route_protocol && route.table == RT_TABLE_MAIN &&
         route.metric == cluster_route_metric(cluster);
}

Result<std::vector<ClusterRoute>> cluster_routes(Netlink& host, std::string_view cluster) {
  RN_TRY(const auto routes, host.routes());
  std::vector<ClusterRoute> out;
  for (const auto& route : routes)
    if (is_cluster_route(route, cluster) && route.gateway) out.push_back({route.destination, *route.gateway});
  return out;
}

Result<bool> sync_cluster_routes(Netlink& host, std::string_view cluster, int bridge,
                                 const std::vector<ClusterRoute>& wanted,
                                 const std::function<bool(const IpPrefix& destination)>& may_delete) {
  RN_TRY(const auto routes, host.routes());
  Result<> outcome;
  bool has_changed = false;
  const auto note = [&](Result<> step) {
    if (step) has_changed = true;
    if (outcome && !step) outcome = std::move(step);
  };
  std::vector<ClusterRoute> present;
  for (const auto& route : routes) {
    if (!is_cluster_route(route, cluster)) continue;
    const bool is_wanted = std::ranges::any_of(
        wanted, [&](const ClusterRoute& w) { return w.destination.masked() == route.destination.masked(); });
    if (is_wanted && route.gateway && route.index == bridge)
      present.push_back({route.destination.masked(), *route.gateway});
    else if (!is_wanted && may_delete(route.destination.masked()))
      note(host.delete_route(route));
  }
  for (const auto& item : wanted) {
    if (std::ranges::find(present, ClusterRoute{item.destination.masked(), item.gateway}) != present.end())
      continue;
    Route route{item.destination.masked(), item.gateway, bridge};
    route.protocol = cluster_route_protocol;
    route.metric = cluster_route_metric(cluster);
    note(host.ensure_route(route));
  }
  RN_CHECK(outcome);
  return has_changed;
}

Result<> remove_cluster_routes(const NetworkNamespace& host, std::string_view cluster) {
  RN_TRY(auto netlink, Netlink::open(host));
  RN_TRY(const auto routes, netlink.routes());
  Result<> outcome;
  for (const auto& route : routes) {
    if (!is_cluster_route(route, cluster)) continue;
    if (auto deleted = netlink.delete_route(route); outcome && !deleted) outcome = std::move(deleted);
  }
  return outcome;
}

}  // namespace rusternetes::network
