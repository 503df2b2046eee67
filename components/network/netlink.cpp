#include "network/netlink.h"

#include <fmt/format.h>
#include <linux/if.h>
#include <netlink/errno.h>
#include <netlink/route/link/veth.h>

#include <algorithm>

#include "network/netlink_internal.h"

namespace rusternetes::network {

using namespace detail;

namespace detail {
NlAddrPtr to_nl(const IpPrefix& prefix) {
  const auto bytes = prefix.address().bytes();
  NlAddrPtr address(nl_addr_build(prefix.address().family(), bytes.data(), bytes.size()));
  RN_ASSERT(address, "memory for an address");
  nl_addr_set_prefixlen(address.get(), prefix.length());
  return address;
}

std::optional<IpPrefix> from_nl(nl_addr* address) {
  if (!address) return std::nullopt;
  const int family = nl_addr_get_family(address);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  const auto length = static_cast<int>(nl_addr_get_prefixlen(address));
  if (nl_addr_get_len(address) == 0) {  // a default route's destination
    const IpPrefix everything = IpPrefix::everything(family);
    return IpPrefix{everything.address(), length};
  }
  return IpPrefix{IpAddress::from_bytes(family, nl_addr_get_binary_addr(address)), length};
}
}  // namespace detail

namespace {
Link from_nl(rtnl_link* link) {
  Link result;
  result.index = rtnl_link_get_ifindex(link);
  if (const char* name = rtnl_link_get_name(link)) result.name = name;
  if (const char* alias = rtnl_link_get_ifalias(link)) result.alias = alias;
  if (const char* kind = rtnl_link_get_type(link)) result.kind = kind;
  result.mtu = static_cast<int>(rtnl_link_get_mtu(link));
  result.is_up = rtnl_link_get_flags(link) & IFF_UP;
  result.is_running = result.is_up && rtnl_link_get_operstate(link) == IF_OPER_UP;
  result.group = rtnl_link_get_group(link);
  result.peer_index = rtnl_link_get_link(link);
  return result;
}

Result<> check_name(const std::string& name) {
  if (!name.empty() && name.size() < IFNAMSIZ) return {};
  return Status{400, "BadRequest",
                fmt::format("link {}: the name must have 1 to {} characters", name, IFNAMSIZ - 1)};
}
}  // namespace

Result<std::vector<Link>> Netlink::links() {
  nl_cache* dumped = nullptr;
  if (const int error = rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &dumped); error < 0)
    return failure("list links", error);
  const CachePtr cache(dumped);
  std::vector<Link> result;
  for (auto* object = nl_cache_get_first(dumped); object; object = nl_cache_get_next(object))
    result.push_back(from_nl(reinterpret_cast<rtnl_link*>(object)));
  return result;
}

Result<std::optional<Link>> Netlink::find_link(std::string_view name) {
  rtnl_link* found = nullptr;
  const int error = rtnl_link_get_kernel(socket_.get(), 0, std::string(name).c_str(), &found);
  if (error == -NLE_NODEV || error == -NLE_OBJ_NOTFOUND) return std::optional<Link>{};
  if (error < 0) return failure(fmt::format("link {}: look up", name), error);
  const LinkPtr link(found);
  return std::optional{from_nl(found)};
}

Result<> Netlink::create_veth(const VethRequest& request) {
  RN_CHECK(check_name(request.name));
  RN_CHECK(check_name(request.peer_name));
  // Not a LinkPtr: libnl's veth holds its peer, which only this call releases.
  const std::unique_ptr<rtnl_link, Releaser<rtnl_link_veth_release>> link(rtnl_link_veth_alloc());
  RN_ASSERT(link, "memory for a link");
  const LinkPtr peer(rtnl_link_veth_get_peer(link.get()));
  rtnl_link_set_name(link.get(), request.name.c_str());
  rtnl_link_set_name(peer.get(), request.peer_name.c_str());
  if (request.mtu > 0) {
    rtnl_link_set_mtu(link.get(), static_cast<unsigned>(request.mtu));
    rtnl_link_set_mtu(peer.get(), static_cast<unsigned>(request.mtu));
  }
  if (request.peer_namespace) rtnl_link_set_ns_fd(peer.get(), request.peer_namespace->fd());
  if (const int error = rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL); error < 0)
    return failure(fmt::format("link {}: create with its other end {}", request.name, request.peer_name),
                   error);
  if (request.alias.empty()) return {};
  return set_alias(request.name, request.alias);
}

Result<> Netlink::create_bridge(const std::string& name, const std::string& alias) {
  RN_CHECK(check_name(name));
  const LinkPtr link(rtnl_link_alloc());
  RN_ASSERT(link, "memory for a link");
  rtnl_link_set_name(link.get(), name.c_str());
  rtnl_link_set_type(link.get(), "bridge");
  if (const int error = rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL); error < 0)
    return failure(fmt::format("link {}: create bridge", name), error);
  return set_alias(name, alias);
}

Result<> Netlink::change_link(std::string_view name, void* changes, std::string_view what) {
  RN_TRY(const auto found, find_link(name));
  if (!found) return Status{404, "NotFound", fmt::format("link {}: {}: there is no such link", name, what)};
  const LinkPtr original(rtnl_link_alloc());
  RN_ASSERT(original, "memory for a link");
  rtnl_link_set_ifindex(original.get(), found->index);
  auto* wanted = static_cast<rtnl_link*>(changes);
  if (const int error = rtnl_link_change(socket_.get(), original.get(), wanted, 0); error < 0)
    return failure(fmt::format("link {}: {}", name, what), error);
  return {};
}

Result<> Netlink::set_up(std::string_view name) {
  const LinkPtr changes(rtnl_link_alloc());
  rtnl_link_set_flags(changes.get(), IFF_UP);
  return change_link(name, changes.get(), "set up");
}

Result<> Netlink::set_mtu(std::string_view name, int mtu) {
  const LinkPtr changes(rtnl_link_alloc());
  rtnl_link_set_mtu(changes.get(), static_cast<unsigned>(mtu));
  return change_link(name, changes.get(), fmt::format("set MTU {}", mtu));
}

Result<> Netlink::set_alias(std::string_view name, const std::string& alias) {
  const LinkPtr changes(rtnl_link_alloc());
  rtnl_link_set_ifalias(changes.get(), alias.c_str());
  return change_link(name, changes.get(), "set alias");
}

Result<> Netlink::set_group(std::string_view name, std::uint32_t group) {
  const LinkPtr changes(rtnl_link_alloc());
  rtnl_link_set_group(changes.get(), group);
  return change_link(name, changes.get(), fmt::format("set group {}", group));
}

Result<> Netlink::rename_link(std::string_view name, const std::string& new_name) {
  RN_CHECK(check_name(new_name));
  const LinkPtr changes(rtnl_link_alloc());
  rtnl_link_set_name(changes.get(), new_name.c_str());
  return change_link(name, changes.get(), fmt::format("rename to {}", new_name));
}

Result<> Netlink::delete_link(std::string_view name) {
  const LinkPtr link(rtnl_link_alloc());
  RN_ASSERT(link, "memory for a link");
  rtnl_link_set_name(link.get(), std::string(name).c_str());
  const int error = rtnl_link_delete(socket_.get(), link.get());
  if (error < 0 && error != -NLE_NODEV && error != -NLE_OBJ_NOTFOUND)
    return failure(fmt::format("link {}: delete", name), error);
  return {};
}

Result<std::vector<std::string>> Netlink::delete_links(std::string_view prefix) {
  RN_ASSERT(!prefix.empty(), "an empty prefix would delete every link");
  RN_TRY(const auto all, links());
  std::vector<std::string> deleted;
  for (const auto& link : all) {
    if (!link.name.starts_with(prefix)) continue;
    RN_CHECK(delete_link(link.name));
    deleted.push_back(link.name);
  }
  return deleted;
}

}  // namespace rusternetes::network
