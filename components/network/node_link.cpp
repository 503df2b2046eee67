#include "network/node_link.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "network/names.h"
#include "network/netlink.h"
#include "network/service_drop.h"

namespace rusternetes::network {

namespace {
class Connection {
 public:
  Connection(Netlink host, Netlink node, const NetworkNamespace& node_namespace, const NodeLink& wanted)
      : host_(std::move(host)),
        node_(std::move(node)),
        node_namespace_(node_namespace),
        wanted_(wanted),
        name_(node_link_name(wanted.cluster, wanted.node)),
        alias_(interface_alias(wanted.cluster, LinkPurpose::node, wanted.node)) {}

  Result<> run() {
    RN_TRY(const bool is_usable, is_intact());
    if (!is_usable) {
      RN_CHECK(delete_stale());
      RN_CHECK(host_.create_veth({name_, name_, &node_namespace_, wanted_.mtu, alias_}));
      RN_CHECK(node_.set_alias(name_, alias_));
      RN_CHECK(node_.rename_link(name_, wanted_.interface));
    }
    RN_TRY(const int host_index, bring_up(host_, name_));
    RN_CHECK(node_.set_up("lo"));
    RN_TRY(const int node_index, bring_up(node_, wanted_.interface));
    RN_CHECK(host_.wait_until_running(name_));
    RN_CHECK(node_.wait_until_running(wanted_.interface));
    RN_CHECK(give_addresses(host_index, node_index));
    return route_from_host(host_index);
  }

 private:
  Result<bool> is_intact() {
    RN_TRY(const auto outer, host_.find_link(name_));
    RN_TRY(const auto inner, node_.find_link(wanted_.interface));
    if (!outer || !inner || outer->alias != alias_ || inner->alias != alias_) return false;
    if (outer->peer_index != inner->index || inner->peer_index != outer->index) return false;
    RN_TRY(const auto addresses, host_.addresses());
    static const IpPrefix link_local = *IpPrefix::parse("fe80::/10");
    return std::ranges::all_of(addresses, [&](const InterfaceAddress& address) {
      return address.index != outer->index || link_local.contains(address.local.address()) ||
             std::ranges::any_of(wanted_.addresses, [&](const NodeAddresses& pair) {
               return address.local.address() == pair.host && address.peer == peer_of(pair);
             });
    });
  }

  // With an IPv4 peer comes the route to it; for IPv6 the route is made.
  static std::optional<IpAddress> peer_of(const NodeAddresses& pair) {
    return pair.node.is_v4() ? std::optional{pair.node} : std::nullopt;
  }

  Result<> delete_stale() {
    RN_TRY(const auto outer, host_.find_link(name_));
    if (outer && !outer->alias.empty() && outer->alias != alias_)
      return Status{409, "AlreadyExists", fmt::format("link {} belongs to \"{}\"", name_, outer->alias)};
    RN_CHECK(host_.delete_link(name_));
    RN_CHECK(node_.delete_link(name_));
    RN_TRY(const auto inner, node_.find_link(wanted_.interface));
    if (inner && !inner->alias.starts_with("rusternetes "))
      return Status{
          409, "AlreadyExists",
          fmt::format("node {}: its {} was not made by this cluster", wanted_.node, wanted_.interface)};
    return node_.delete_link(wanted_.interface);
  }

  Result<int> bring_up(Netlink& netlink, const std::string& name) {
    RN_TRY(const auto link, netlink.find_link(name));
    if (!link)
      return Status{404, "NotFound", fmt::format("node {}: link {} has vanished", wanted_.node, name)};
    if (wanted_.mtu > 0 && link->mtu != wanted_.mtu) RN_CHECK(netlink.set_mtu(name, wanted_.mtu));
    if (!link->is_up) RN_CHECK(netlink.set_up(name));
    return link->index;
  }

  Result<> give_addresses(int host_index, int node_index) {
    for (const auto& pair : wanted_.addresses) {
      RN_CHECK(host_.ensure_address({host_index, IpPrefix::host(pair.host), peer_of(pair)}));
      if (!peer_of(pair)) RN_CHECK(host_.ensure_route({IpPrefix::host(pair.node), std::nullopt, host_index}));
      RN_CHECK(node_.ensure_address({node_index, IpPrefix::host(pair.node), std::nullopt}));
      const std::uint8_t scope = pair.host.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
      RN_CHECK(node_.ensure_route({IpPrefix::host(pair.host), std::nullopt, node_index, scope}));
      Route outside{IpPrefix::everything(pair.host.family()), pair.host, node_index};
      outside.source = pair.node;
      RN_CHECK(node_.ensure_route(outside));
    }
    return {};
  }

  Result<> route_from_host(int host_index) {
    std::vector<IpPrefix> destinations = wanted_.pod_cidrs;
    destinations.insert(destinations.end(), wanted_.service_ranges.begin(), wanted_.service_ranges.end());
    for (const auto& destination : destinations) {
      const auto pair = std::ranges::find(wanted_.addresses, destination.address().family(),
                                          [](const NodeAddresses& p) { return p.node.family(); });
      if (pair == wanted_.addresses.end())
        return Status{
            400, "BadRequest",
            fmt::format("node {}: no address of the family of {}", wanted_.node, destination.to_string())};
      Route route{destination, pair->node, host_index};
      route.source = pair->host;
      RN_CHECK(host_.ensure_route(route));
    }
    return {};
  }

  Netlink host_;
  Netlink node_;
  const NetworkNamespace& node_namespace_;
  const NodeLink& wanted_;
  std::string name_;
  std::string alias_;
};

Result<> check_guards(const NetworkNamespace& host, const NetworkNamespace& node, const NodeLink& wanted) {
  if (wanted.service_ranges.empty()) return {};
  for (const auto* where : {&host, &node}) {
    const auto guarded = check_service_drop(*where, wanted.cluster, wanted.service_ranges);
    if (!guarded)
      return Status{412, "FailedPrecondition",
                    fmt::format("node {}: no service range is routed without its drop rule in {}: {}",
                                wanted.node, where->name(), guarded.error().message)};
  }
  return {};
}
}  // namespace

std::string node_link_name(std::string_view cluster, std::string_view node) {
  return interface_name(cluster, LinkPurpose::node, node);
}

Result<> connect_node(const NetworkNamespace& host, const NetworkNamespace& node, const NodeLink& wanted) {
  RN_ASSERT(!wanted.addresses.empty(), "a node's link has addresses");
  // The node's default route would replace the host's.
  if (host == node)
    return Status{400, "BadRequest",
                  fmt::format("node {} is in the host's own network namespace", wanted.node)};
  RN_CHECK(check_guards(host, node, wanted));
  RN_TRY(auto host_netlink, Netlink::open(host));
  RN_TRY(auto node_netlink, Netlink::open(node));
  return Connection(std::move(host_netlink), std::move(node_netlink), node, wanted).run();
}

Result<> disconnect_node(const NetworkNamespace& host, std::string_view cluster, std::string_view node) {
  RN_TRY(auto netlink, Netlink::open(host));
  const std::string name = node_link_name(cluster, node);
  RN_TRY(const auto link, netlink.find_link(name));
  if (!link || (!link->alias.empty() && link->alias != interface_alias(cluster, LinkPurpose::node, node)))
    return {};
  return netlink.delete_link(name);
}

Result<std::vector<std::string>> delete_cluster_links(const NetworkNamespace& where,
                                                      std::string_view cluster) {
  RN_TRY(auto netlink, Netlink::open(where));
  return netlink.delete_links(interface_prefix(cluster));
}

}  // namespace rusternetes::network
