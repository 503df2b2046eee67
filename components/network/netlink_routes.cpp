// Addresses and routes of Netlink, and what is found out from them.
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>

#include <algorithm>

#include "network/netlink.h"
#include "network/netlink_internal.h"

namespace rusternetes::network {

using namespace detail;

namespace {
std::string describe(const Route& route) {
  std::string text = fmt::format("route {}", route.destination.to_string());
  if (route.gateway) text += fmt::format(" via {}", route.gateway->to_string());
  if (route.index) text += fmt::format(" on link {}", route.index);
  return text;
}

std::string describe(const InterfaceAddress& address) {
  std::string text = fmt::format("address {}", address.local.to_string());
  if (address.peer) text += fmt::format(" peer {}", address.peer->to_string());
  return fmt::format("{} on link {}", text, address.index);
}

AddrPtr to_nl(const InterfaceAddress& address) {
  AddrPtr result(rtnl_addr_alloc());
  RN_ASSERT(result, "memory for an address");
  rtnl_addr_set_ifindex(result.get(), address.index);
  rtnl_addr_set_local(result.get(), detail::to_nl(address.local).get());
  if (address.peer) {
    RN_ASSERT(address.peer->is_v4(), "an IPv6 address is given without its peer, which gets a route");
    rtnl_addr_set_peer(result.get(), detail::to_nl(IpPrefix::host(*address.peer)).get());
    rtnl_addr_set_prefixlen(result.get(), address.peer->bits());
  }
  // Duplicate address detection would keep an IPv6 address unusable for a second; ours are allocated, not
  // guessed.
  if (!address.local.address().is_v4()) rtnl_addr_set_flags(result.get(), IFA_F_NODAD);
  return result;
}

RoutePtr to_nl(const Route& route) {
  RoutePtr result(rtnl_route_alloc());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  RN_ASSERT(result && hop, "memory for a route");
  rtnl_route_set_family(result.get(), static_cast<std::uint8_t>(route.destination.address().family()));
  rtnl_route_set_dst(result.get(), detail::to_nl(route.destination.masked()).get());
  rtnl_route_set_table(result.get(), route.table);
  rtnl_route_set_scope(result.get(), route.scope);
  rtnl_route_set_type(result.get(), route.type);
  rtnl_route_set_protocol(result.get(), route.protocol);
  if (route.metric) rtnl_route_set_priority(result.get(), route.metric);
  if (route.source) rtnl_route_set_pref_src(result.get(), detail::to_nl(IpPrefix::host(*route.source)).get());
  if (route.index) rtnl_route_nh_set_ifindex(hop, route.index);
  if (route.gateway) rtnl_route_nh_set_gateway(hop, detail::to_nl(IpPrefix::host(*route.gateway)).get());
  if (route.is_onlink) {
    rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
    rtnl_route_set_flags(result.get(), RTNH_F_ONLINK);
  }
  if (route.index || route.gateway)
    rtnl_route_add_nexthop(result.get(), hop);
  else
    rtnl_route_nh_free(hop);
  return result;
}

std::optional<Route> from_nl(rtnl_route* route) {
  const auto destination = detail::from_nl(rtnl_route_get_dst(route));
  if (!destination) return std::nullopt;
  Route result;
  result.destination = *destination;
  result.scope = rtnl_route_get_scope(route);
  result.type = rtnl_route_get_type(route);
  result.protocol = rtnl_route_get_protocol(route);
  result.table = rtnl_route_get_table(route);
  result.metric = rtnl_route_get_priority(route);
  if (const auto source = detail::from_nl(rtnl_route_get_pref_src(route))) result.source = source->address();
  if (rtnl_route_get_nnexthops(route) > 0) {
    rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
    result.index = rtnl_route_nh_get_ifindex(hop);
    if (const auto gateway = detail::from_nl(rtnl_route_nh_get_gateway(hop)))
      result.gateway = gateway->address();
    result.is_onlink = (rtnl_route_nh_get_flags(hop) | rtnl_route_get_flags(route)) & RTNH_F_ONLINK;
  }
  return result;
}
}  // namespace

Result<std::vector<InterfaceAddress>> Netlink::addresses() {
  nl_cache* dumped = nullptr;
  if (const int error = rtnl_addr_alloc_cache(socket_.get(), &dumped); error < 0)
    return failure("list addresses", error);
  const CachePtr cache(dumped);
  std::vector<InterfaceAddress> result;
  for (auto* object = nl_cache_get_first(dumped); object; object = nl_cache_get_next(object)) {
    auto* address = reinterpret_cast<rtnl_addr*>(object);
    const auto local = detail::from_nl(rtnl_addr_get_local(address));
    if (!local) continue;
    InterfaceAddress item{rtnl_addr_get_ifindex(address), *local, std::nullopt};
    const auto peer = detail::from_nl(rtnl_addr_get_peer(address));
    if (peer && peer->address() != local->address()) {
      // The prefix length the kernel reports belongs to the peer.
      item.local = IpPrefix::host(local->address());
      item.peer = peer->address();
    }
    result.push_back(item);
  }
  return result;
}

Result<> Netlink::ensure_address(const InterfaceAddress& address) {
  const int error = rtnl_addr_add(socket_.get(), to_nl(address).get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (error < 0 && error != -NLE_EXIST) return failure(fmt::format("{}: add", describe(address)), error);
  return {};
}

Result<> Netlink::delete_address(const InterfaceAddress& address) {
  const int error = rtnl_addr_delete(socket_.get(), to_nl(address).get(), 0);
  if (error < 0 && error != -NLE_NOADDR && error != -NLE_OBJ_NOTFOUND && error != -NLE_NODEV)
    return failure(fmt::format("{}: delete", describe(address)), error);
  return {};
}

Result<std::vector<Route>> Netlink::routes() {
  nl_cache* dumped = nullptr;
  if (const int error = rtnl_route_alloc_cache(socket_.get(), AF_UNSPEC, 0, &dumped); error < 0)
    return failure("list routes", error);
  const CachePtr cache(dumped);
  std::vector<Route> result;
  for (auto* object = nl_cache_get_first(dumped); object; object = nl_cache_get_next(object))
    if (auto route = from_nl(reinterpret_cast<rtnl_route*>(object))) result.push_back(*std::move(route));
  return result;
}

Result<> Netlink::ensure_route(const Route& route) {
  if (const int error = rtnl_route_add(socket_.get(), to_nl(route).get(), NLM_F_CREATE | NLM_F_REPLACE);
      error < 0)
    return failure(fmt::format("{}: add", describe(route)), error);
  return {};
}

Result<> Netlink::delete_route(const Route& route) {
  const int error = rtnl_route_delete(socket_.get(), to_nl(route).get(), 0);
  if (error < 0 && error != -NLE_OBJ_NOTFOUND && error != -NLE_NODEV)
    return failure(fmt::format("{}: delete", describe(route)), error);
  return {};
}

Result<std::optional<Uplink>> find_uplink(const NetworkNamespace& where, int family) {
  RN_TRY(auto netlink, Netlink::open(where));
  RN_TRY(const auto routes, netlink.routes());
  const Route* best = nullptr;
  for (const auto& route : routes)
    if (route.destination == IpPrefix::everything(family) && route.table == RT_TABLE_MAIN &&
        route.type == RTN_UNICAST && route.index && (!best || route.metric < best->metric))
      best = &route;
  if (!best) return std::optional<Uplink>{};
  RN_TRY(const auto links, netlink.links());
  RN_TRY(const auto addresses, netlink.addresses());
  Uplink uplink;
  uplink.gateway = best->gateway;
  uplink.source = best->source;
  for (const auto& link : links)
    if (link.index == best->index) uplink.link = link;
  for (const auto& address : addresses)
    if (!uplink.source && address.index == best->index && address.local.address().family() == family)
      uplink.source = address.local.address();
  return std::optional{std::move(uplink)};
}

Result<int> uplink_mtu(const NetworkNamespace& where) {
  for (const int family : {AF_INET, AF_INET6}) {
    RN_TRY(const auto uplink, find_uplink(where, family));
    if (uplink) return uplink->link.mtu;
  }
  return 1500;
}

Result<std::vector<IpPrefix>> used_prefixes(const NetworkNamespace& where) {
  RN_TRY(auto netlink, Netlink::open(where));
  RN_TRY(const auto routes, netlink.routes());
  RN_TRY(const auto addresses, netlink.addresses());
  static const IpPrefix ignored[] = {*IpPrefix::parse("127.0.0.0/8"), *IpPrefix::parse("::1/128"),
                                     *IpPrefix::parse("fe80::/10"), *IpPrefix::parse("ff00::/8")};
  std::vector<IpPrefix> used;
  const auto add = [&](const IpPrefix& prefix) {
    const bool is_ignored = std::ranges::any_of(ignored, [&](const IpPrefix& range) {
      return range.length() <= prefix.length() && range.contains(prefix.address());
    });
    if (!prefix.is_everything() && !is_ignored) used.push_back(prefix.masked());
  };
  for (const auto& route : routes)
    if (route.type != RTN_BROADCAST && route.type != RTN_MULTICAST) add(route.destination);
  for (const auto& address : addresses) {
    add(address.local);
    if (address.peer) add(IpPrefix::host(*address.peer));
  }
  std::ranges::sort(used);
  used.erase(std::unique(used.begin(), used.end()), used.end());
  return used;
}

}  // namespace rusternetes::network
