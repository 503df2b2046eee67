#include "network/pod_cidr_routes.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "network/netlink.h"

namespace rusternetes::network {

namespace {
constexpr std::uint8_t pod_cidr_protocol =
    Route::route_protocol + 1;  // so that a node's other routes are never listed

bool is_ours(const Route& route, const std::vector<IpPrefix>& pod_ranges) {
  return route.protocol == pod_cidr_protocol && route.table == RT_TABLE_MAIN && route.gateway &&
         std::ranges::any_of(pod_ranges, [&](const IpPrefix& range) {
           return range.length() <= route.destination.length() && range.contains(route.destination.address());
         });
}
}  // namespace

Result<> sync_pod_cidr_routes(const NetworkNamespace& node, const std::vector<IpPrefix>& pod_ranges,
                              const std::vector<PodCidrRoute>& wanted) {
  RN_TRY(auto netlink, Netlink::open(node));
  RN_TRY(const auto routes, netlink.routes());
  Result<> outcome;
  const auto note = [&](Result<> step) {
    if (outcome && !step) outcome = std::move(step);
  };
  std::vector<PodCidrRoute> present;
  for (const auto& route : routes) {
    if (!is_ours(route, pod_ranges)) continue;
    const PodCidrRoute item{route.destination, *route.gateway};
    const bool is_wanted = std::ranges::any_of(
        wanted, [&](const PodCidrRoute& w) { return w.destination.masked() == item.destination.masked(); });
    if (is_wanted)
      present.push_back(item);
    else
      note(netlink.delete_route(route));
  }
  for (const auto& item : wanted) {
    const PodCidrRoute masked{item.destination.masked(), item.gateway};
    if (std::ranges::find(present, masked) != present.end()) continue;
    Route route{masked.destination, masked.gateway};
    route.protocol = pod_cidr_protocol;
    note(netlink.ensure_route(route));
  }
  return outcome;
}

}  // namespace rusternetes::network
