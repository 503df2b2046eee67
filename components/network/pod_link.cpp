#include "network/pod_link.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "network/names.h"
#include "network/netlink.h"

namespace rusternetes::network {

namespace {
const IpAddress& node_link_local() {
  static const IpAddress address = *IpAddress::parse("fe80::1");
  return address;
}

// One call's view of both ends.
class Wiring {
 public:
  Wiring(Netlink node, Netlink pod, const NetworkNamespace& pod_namespace, const PodLink& wanted)
      : node_(std::move(node)),
        pod_(std::move(pod)),
        pod_namespace_(pod_namespace),
        wanted_(wanted),
        name_(interface_name(wanted.cluster, LinkPurpose::pod, wanted.id)),
        alias_(interface_alias(wanted.cluster, LinkPurpose::pod, wanted.id)) {}

  Result<> run() {
    RN_TRY(const bool is_usable, is_intact());
    if (!is_usable) {
      RN_CHECK(delete_stale());
      RN_CHECK(create());
    }
    RN_CHECK(pod_.set_up("lo"));
    RN_TRY(const int pod_index, bring_up(pod_, wanted_.interface));
    RN_TRY(const int node_index, bring_up(node_, name_));
    RN_CHECK(pod_.wait_until_running(wanted_.interface));
    RN_CHECK(node_.wait_until_running(name_));
    RN_CHECK(configure_pod(pod_index));
    return configure_node(node_index);
  }

 private:
  // Both ends are there, are each other's, and the Pod's end has the wanted addresses and no others.
  Result<bool> is_intact() {
    RN_TRY(const auto outer, node_.find_link(name_));
    RN_TRY(const auto inner, pod_.find_link(wanted_.interface));
    if (!outer || !inner || outer->alias != alias_ || inner->alias != alias_) return false;
    if (outer->peer_index != inner->index || inner->peer_index != outer->index) return false;
    RN_TRY(const auto addresses, pod_.addresses());
    for (const auto& address : addresses)
      if (address.index == inner->index && !is_link_local(address.local.address()) &&
          std::ranges::find(wanted_.addresses, address.local.address()) == wanted_.addresses.end())
        return false;
    return true;
  }

  static bool is_link_local(const IpAddress& address) {
    static const IpPrefix range = *IpPrefix::parse("fe80::/10");
    return range.contains(address);
  }

  Result<> delete_stale() {
    RN_TRY(const auto outer, node_.find_link(name_));
    // Two Pods whose names hash alike: better no new Pod than an old one without network.
    if (outer && !outer->alias.empty() && outer->alias != alias_)
      return Status{409, "AlreadyExists", fmt::format("link {} belongs to \"{}\"", name_, outer->alias)};
    RN_CHECK(node_.delete_link(name_));
    RN_CHECK(pod_.delete_link(name_));  // made, but not yet renamed
    RN_TRY(const auto inner, pod_.find_link(wanted_.interface));
    if (inner && !inner->alias.starts_with("rusternetes "))
      return Status{409, "AlreadyExists",
                    fmt::format("Pod {}: its {} was not made by this node", wanted_.id, wanted_.interface)};
    return pod_.delete_link(wanted_.interface);
  }

  // The Pod's end gets its final name last, with its alias set: whatever has that name and no alias is not
  // ours.
  Result<> create() {
    RN_CHECK(node_.create_veth({name_, name_, &pod_namespace_, wanted_.mtu, alias_}));
    RN_CHECK(pod_.set_alias(name_, alias_));
    return pod_.rename_link(name_, wanted_.interface);
  }

  Result<int> bring_up(Netlink& netlink, const std::string& name) {
    RN_TRY(const auto link, netlink.find_link(name));
    if (!link) return Status{404, "NotFound", fmt::format("Pod {}: link {} has vanished", wanted_.id, name)};
    if (wanted_.mtu > 0 && link->mtu != wanted_.mtu) RN_CHECK(netlink.set_mtu(name, wanted_.mtu));
    if (!link->is_up) RN_CHECK(netlink.set_up(name));
    return link->index;
  }

  Result<> configure_pod(int index) {
    for (const auto& address : wanted_.addresses)
      RN_CHECK(pod_.ensure_address({index, IpPrefix::host(address), std::nullopt}));
    for (const auto& address : wanted_.addresses) {
      const IpAddress& gateway = address.is_v4() ? wanted_.gateway : node_link_local();
      if (address.is_v4()) {
        Route to_gateway{IpPrefix::host(gateway), std::nullopt, index, RT_SCOPE_LINK};
        RN_CHECK(pod_.ensure_route(to_gateway));
      }
      RN_CHECK(pod_.ensure_route({IpPrefix::everything(address.family()), gateway, index}));
    }
    return {};
  }

  Result<> configure_node(int index) {
    for (const auto& address : wanted_.addresses) {
      if (!address.is_v4())
        RN_CHECK(node_.ensure_address({index, IpPrefix::host(node_link_local()), std::nullopt}));
      const std::uint8_t scope = address.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
      RN_CHECK(node_.ensure_route({IpPrefix::host(address), std::nullopt, index, scope}));
    }
    return {};
  }

  Netlink node_;
  Netlink pod_;
  const NetworkNamespace& pod_namespace_;
  const PodLink& wanted_;
  std::string name_;
  std::string alias_;
};
}  // namespace

Result<> wire_pod(const NetworkNamespace& node, const NetworkNamespace& pod, const PodLink& wanted) {
  RN_ASSERT(!wanted.addresses.empty(), "a wired Pod has an address");
  // The Pod's default route would replace the host's or the node's.
  if (node == pod)
    return Status{400, "BadRequest", fmt::format("Pod {} is in its node's own network namespace", wanted.id)};
  RN_TRY(auto node_netlink, Netlink::open(node));
  RN_TRY(auto pod_netlink, Netlink::open(pod));
  return Wiring(std::move(node_netlink), std::move(pod_netlink), pod, wanted).run();
}

Result<> unwire_pod(const NetworkNamespace& node, std::string_view cluster, std::string_view id) {
  RN_TRY(auto netlink, Netlink::open(node));
  const std::string name = interface_name(cluster, LinkPurpose::pod, id);
  RN_TRY(const auto link, netlink.find_link(name));
  if (!link || (!link->alias.empty() && link->alias != interface_alias(cluster, LinkPurpose::pod, id)))
    return {};
  return netlink.delete_link(name);
}

Result<std::vector<std::string>> wired_pods(const NetworkNamespace& node, std::string_view cluster) {
  RN_TRY(auto netlink, Netlink::open(node));
  RN_TRY(const auto links, netlink.links());
  const std::string beginning = interface_alias(cluster, LinkPurpose::pod, "");
  std::vector<std::string> ids;
  for (const auto& link : links)
    if (link.name.starts_with(interface_prefix(cluster)) && link.alias.starts_with(beginning))
      ids.push_back(link.alias.substr(beginning.size()));
  std::ranges::sort(ids);
  return ids;
}

}  // namespace rusternetes::network
