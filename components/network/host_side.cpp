#include "network/host_side.h"

#include "network/bridge/cluster_bridge.h"
#include "network/bridge/cluster_routes.h"
#include "network/docker_accepts.h"
#include "network/isolation.h"
#include "network/masquerade.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_sysctls.h"

namespace rusternetes::network {

namespace {

// Pod to outside: the node has put its own address on the packet, now the host does. Pods, nodes and the host
// itself see real sources, and the node sees those of others: a container of an engine, another cluster's Pod
// at a published port.
Masquerade masquerade_of(const NodeLink& link) {
  Masquerade rule;
  rule.cluster = link.cluster;
  rule.sources = link.pod_cidrs;
  for (const auto& pair : link.addresses) rule.sources.push_back(IpPrefix::host(pair.node));
  rule.except_destinations = rule.sources;
  for (const auto& pair : link.addresses) rule.except_destinations.push_back(IpPrefix::host(pair.host));
  rule.from_interfaces = rule.except_to_interfaces =
      rule.keep_source_to = {node_link_name(link.cluster, link.node)};
  return rule;
}

PublishedPorts ports_of(const HostSide& wanted) {
  PublishedPorts out{wanted.link.cluster, {}, wanted.published};
  for (const auto& pair : wanted.link.addresses) out.node_addresses.push_back(pair.node);
  return out;
}

}  // namespace

ServiceDrop host_drop(const NodeLink& link) { return {link.cluster, link.service_ranges, {node_link_name(link.cluster, link.node)}}; }

Result<> make_host_side(const NetworkNamespace& host, const NetworkNamespace& node, const HostSide& wanted) {
  NodeLink link = wanted.link;
  if (link.mtu == 0) {
    RN_TRY(link.mtu, uplink_mtu(host));
  }
  RN_CHECK(connect_node(host, node, link));
  RN_CHECK(load_isolation(host, link.cluster));
  RN_CHECK(load_masquerade(host, masquerade_of(link)));
  RN_CHECK(load_published_ports(host, ports_of(wanted)));
  Forwarding forwarding;
  for (const auto& pair : link.addresses) (pair.node.is_v4() ? forwarding.ipv4 : forwarding.ipv6) = true;
  // Left on when the cluster goes, as engines leave it: others may stand on it by then.
  RN_TRY([[maybe_unused]] const auto before, set_forwarding(host, forwarding));
  return {};
}

Result<std::vector<std::string>> mend_host_rules(const NetworkNamespace& host, const HostSide& wanted) {
  std::vector<std::string> mended;
  if (!check_service_drop(host, wanted.link.cluster, wanted.link.service_ranges)) {
    RN_CHECK(
        widen_service_drop(host, host_drop(wanted.link)));  // ranges may come meanwhile, see service_ranges.h
    mended.emplace_back("the drop rule of the service range");
  }
  RN_TRY(const bool isolates, has_isolation(host, wanted.link.cluster));
  if (!isolates) {
    RN_CHECK(load_isolation(host, wanted.link.cluster));
    mended.emplace_back("the isolation from other clusters");
  }
  RN_TRY(const bool masquerades, has_masquerade(host, masquerade_of(wanted.link)));
  if (!masquerades) {
    RN_CHECK(load_masquerade(host, masquerade_of(wanted.link)));
    mended.emplace_back("the masquerade");
  }
  RN_TRY(const bool publishes, has_published_ports(host, wanted.link.cluster));
  if (!publishes && !wanted.published.empty()) {
    RN_CHECK(load_published_ports(host, ports_of(wanted)));
    mended.emplace_back("the translation of published ports");
  }
  return mended;
}

Result<> remove_host_translations(const NetworkNamespace& host, std::string_view cluster) {
  const auto accepts = remove_docker_accepts(host, cluster);
  RN_CHECK(delete_tables(host, table_name(cluster) + "-"));  // whatever Docker's chain is like
  return accepts;
}

Result<> remove_cluster_host_side(const NetworkNamespace& host, std::string_view cluster) {
  const auto routes = remove_cluster_routes(host, cluster);
  const auto marks = unmark_bridges(host, cluster);
  const auto translations = remove_host_translations(host, cluster);
  RN_CHECK(routes);  // while they stand, so does the drop rule
  RN_CHECK(remove_service_drop(host, cluster));
  RN_CHECK(marks);
  return translations;
}

}  // namespace rusternetes::network
