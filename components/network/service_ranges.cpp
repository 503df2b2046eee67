#include "network/service_ranges.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "network/netlink.h"
#include "network/service_drop.h"

namespace rusternetes::network {

namespace {

// Nobody has services in more than 16 million addresses, and a larger range takes too much of the world from
// the host.
constexpr int kShortestLength = 8;

// 0 without the link.
Result<int> link_index(Netlink& netlink, const NodeLink& link) {
  RN_TRY(const auto found, netlink.find_link(node_link_name(link.cluster, link.node)));
  return found ? found->index : 0;
}

bool has(const std::vector<IpPrefix>& ranges, const IpPrefix& range) {
  return std::ranges::any_of(ranges, [&](const IpPrefix& one) { return one.masked() == range.masked(); });
}

// Of this project, by the cluster's link and a gateway: to Pods or services. (To the node itself there is no
// gateway.)
bool is_service_route(const Route& route, int index, const NodeLink& link) {
  return index != 0 && route.index == index && route.protocol == Route::route_protocol && route.gateway &&
         !has(link.pod_cidrs, route.destination);
}

const NodeAddresses* pair_of(const NodeLink& link, const IpPrefix& range) {
  const auto found = std::ranges::find(link.addresses, range.address().family(),
                                       [](const NodeAddresses& pair) { return pair.node.family(); });
  return found == link.addresses.end() ? nullptr : &*found;
}

ServiceDrop drop_of(const NodeLink& link, const std::vector<IpPrefix>& ranges, bool is_before_node) {
  ServiceDrop drop{link.cluster, link.service_ranges, {}};
  drop.service_ranges.insert(drop.service_ranges.end(), ranges.begin(), ranges.end());
  if (is_before_node) drop.allowed_interfaces = {node_link_name(link.cluster, link.node)};
  return drop;
}

// What was there, without what nobody wants any more; never more than before.
Result<> narrow(const NetworkNamespace& where, const ServiceDrop& wanted) {
  const auto present = read_service_drop(where, wanted.cluster);
  if (!present) return {};  // gone or changed by others: whoever keeps it puts it right
  ServiceDrop narrow = *present;
  std::erase_if(narrow.service_ranges,
                [&](const IpPrefix& range) { return !has(wanted.service_ranges, range); });
  if (narrow.service_ranges.empty() || narrow.service_ranges == present->service_ranges) return {};
  return load_service_drop(where, narrow);
}

}  // namespace

Result<> check_range_kind(const std::vector<IpPrefix>& pod_ranges, const IpPrefix& range) {
  const std::string text = range.masked().to_string();
  if (range.length() < kShortestLength)
    return Status{400, "BadRequest",
                  fmt::format("{} is larger than a /{}, too large for services", text, kShortestLength)};
  static const IpPrefix special[] = {*IpPrefix::parse("0.0.0.0/8"),      *IpPrefix::parse("127.0.0.0/8"),
                                     *IpPrefix::parse("169.254.0.0/16"), *IpPrefix::parse("224.0.0.0/3"),
                                     *IpPrefix::parse("::/8"),           *IpPrefix::parse("fe80::/10"),
                                     *IpPrefix::parse("ff00::/8")};
  for (const auto& one : special)
    if (one.overlaps(range))
      return Status{400, "BadRequest",
                    fmt::format("{} overlaps {}, which is not for services", text, one.to_string())};
  for (const auto& pods : pod_ranges)
    if (pods.overlaps(range))
      return Status{400, "BadRequest",
                    fmt::format("{} overlaps the Pods' range {}", text, pods.masked().to_string())};
  return {};
}

Result<> check_range_unused(Netlink& host, std::string_view whose, const IpPrefix& range,
                            const std::function<bool(const Route&)>& is_own) {
  RN_TRY(const auto routes, host.routes());
  const Route* used = nullptr;  // the widest says most
  for (const auto& route : routes) {
    if (route.type == RTN_BROADCAST || route.type == RTN_MULTICAST || route.destination.is_everything())
      continue;
    if (is_own(route) || !route.destination.overlaps(range)) continue;
    if (!used || route.destination.length() < used->destination.length()) used = &route;
  }
  if (!used) return {};
  return Status{409, "AlreadyExists",
                fmt::format("{} overlaps {}, which the host of {} uses already", range.masked().to_string(),
                            used->destination.masked().to_string(), whose)};
}

Result<> check_service_range(const NetworkNamespace& host, const NodeLink& link, const IpPrefix& range) {
  RN_CHECK(check_range_kind(link.pod_cidrs, range));
  RN_TRY(auto netlink, Netlink::open(host));
  RN_TRY(const int index, link_index(netlink, link));
  return check_range_unused(netlink, fmt::format("node {}", link.node), range,
                            [&](const Route& route) { return is_service_route(route, index, link); });
}

Result<> add_service_ranges(const NetworkNamespace& host, const NetworkNamespace& node, const NodeLink& link,
                            const std::vector<IpPrefix>& ranges) {
  RN_CHECK(widen_service_drop(node, drop_of(link, ranges, false)));
  if (host == node) return {};
  RN_CHECK(widen_service_drop(host, drop_of(link, ranges, true)));
  RN_TRY(auto netlink, Netlink::open(host));
  RN_TRY(const int index, link_index(netlink, link));
  if (index == 0)
    return Status{412, "FailedPrecondition", fmt::format("node {}: the link to it is missing", link.node)};
  for (const auto& range : ranges) {
    const auto* pair = pair_of(link, range);
    if (!pair) continue;
    Route route{range.masked(), pair->node, index};
    route.source = pair->host;
    RN_CHECK(netlink.ensure_route(route));
  }
  return {};
}

Result<> retain_service_ranges(const NetworkNamespace& host, const NetworkNamespace& node,
                               const NodeLink& link, const std::vector<IpPrefix>& wanted) {
  if (host == node) return narrow(node, drop_of(link, wanted, false));
  const ServiceDrop on_host = drop_of(link, wanted, true);
  RN_TRY(auto netlink, Netlink::open(host));
  RN_TRY(const int index, link_index(netlink, link));
  RN_TRY(const auto routes, netlink.routes());
  for (const auto& route : routes)
    if (is_service_route(route, index, link) && !has(on_host.service_ranges, route.destination))
      RN_CHECK(netlink.delete_route(route));
  RN_CHECK(narrow(host, on_host));
  return narrow(node, drop_of(link, wanted, false));
}

}  // namespace rusternetes::network
