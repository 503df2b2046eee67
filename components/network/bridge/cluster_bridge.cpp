#include "network/bridge/cluster_bridge.h"

#include <algorithm>

#include "network/names.h"

namespace rusternetes::network {

namespace {
std::string alias_of(std::string_view cluster, const std::string& name) {
  return interface_alias(cluster, LinkPurpose::bridge, name);
}
}  // namespace

Result<std::optional<Link>> find_bridge(Netlink& host, std::string_view name,
                                        const std::vector<IpAddress>& gateways) {
  if (!name.empty()) return host.find_link(name);
  RN_TRY(const auto addresses, host.addresses());
  const auto found = std::ranges::find_if(addresses, [&](const InterfaceAddress& address) {
    return std::ranges::find(gateways, address.local.address()) != gateways.end();
  });
  if (found == addresses.end()) return std::optional<Link>{};
  RN_TRY(const auto links, host.links());
  const auto link = std::ranges::find(links, found->index, &Link::index);
  return link == links.end() ? std::optional<Link>{} : std::optional{*link};
}

Result<bool> mark_bridge(Netlink& host, std::string_view cluster, const Link& bridge) {
  if (bridge.name.starts_with(interface_prefix(cluster))) return false;
  const std::string alias = alias_of(cluster, bridge.name);
  if (bridge.group == cluster_link_group && bridge.alias == alias) return false;
  RN_CHECK(host.set_alias(bridge.name, alias));
  RN_CHECK(host.set_group(bridge.name, cluster_link_group));
  return true;
}

Result<> unmark_bridges(const NetworkNamespace& host, std::string_view cluster) {
  RN_TRY(auto netlink, Netlink::open(host));
  RN_TRY(const auto links, netlink.links());
  for (const auto& link : links) {
    if (link.group != cluster_link_group || link.alias != alias_of(cluster, link.name)) continue;
    RN_CHECK(netlink.set_group(link.name, 0));
    RN_CHECK(netlink.set_alias(link.name, ""));
  }
  return {};
}

}  // namespace rusternetes::network
