#include "launcher/components/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "network/bridge/cluster_routes.h"
#include "network/host_side.h"
#include "network/isolation.h"
#include "network/names.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"

namespace rusternetes::launcher {
namespace {

using network::IpAddress;
using network::IpPrefix;
using network::NetworkNamespace;

Result<std::vector<IpPrefix>> prefixes(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> out;
  for (const std::string& text : texts) {
    RN_TRY(IpPrefix prefix, IpPrefix::parse(text));
    out.push_back(prefix);
  }
  return out;
}

Result<network::ServiceDrop> drop_of(const NodeNetwork& wanted, bool is_host_of_node) {
  network::ServiceDrop drop{.cluster = wanted.cluster};
  RN_TRY(drop.service_ranges, prefixes(wanted.service_cidrs));
  if (!wanted.bridge.empty()) drop.allowed_interfaces = {wanted.bridge};
  if (is_host_of_node) drop.allowed_interfaces = {network::node_link_name(wanted.cluster, wanted.node)};
  return drop;
}

Result<network::HostSide> host_side_of(const NodeNetwork& wanted) {
  network::HostSide out;
  network::NodeLink& link = out.link;
  link.cluster = wanted.cluster;
  link.node = wanted.node;
  for (std::size_t i = 0; i < wanted.node_addresses.size(); ++i) {
    RN_TRY(const IpAddress host_address, IpAddress::parse(wanted.host_addresses.at(i)));
    RN_TRY(const IpAddress node_address, IpAddress::parse(wanted.node_addresses[i]));
    link.addresses.push_back({host_address, node_address});
  }
  RN_TRY(link.pod_cidrs, prefixes(wanted.pod_cidrs));
  RN_TRY(link.service_ranges, prefixes(wanted.service_cidrs));
  for (const std::string& text : wanted.published_ports) {
    RN_TRY(const network::PublishedPort port, network::PublishedPort::parse(text));
    out.published.push_back(port);
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> LinuxNetwork::host_ranges() {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY(const std::vector<IpPrefix> used, network::used_prefixes(host));
  std::vector<std::string> out;
  for (const IpPrefix& prefix : used) out.push_back(prefix.masked().to_string());
  return out;
}

std::string LinuxNetwork::bridge_name(const std::string& cluster) {
  return network::interface_name(cluster, network::LinkPurpose::bridge, "network");
}

Result<bool> LinuxNetwork::has_traces(const std::string& cluster) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY(auto netlink, network::Netlink::open(host));
  RN_TRY(const auto links, netlink.links());
  const std::string prefix = network::interface_prefix(cluster);
  for (const network::Link& link : links)
    if (link.name.starts_with(prefix)) return true;
  const auto drop = network::read_service_drop(host, cluster);
  return drop || !drop.error().is("NotFound");
}

Result<> LinuxNetwork::load_drop_rules(const NodeNetwork& wanted) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY(const auto on_host, drop_of(wanted, !wanted.node_netns.empty()));
  RN_CHECK(network::load_service_drop(host, on_host));
  if (wanted.node_netns.empty()) return {};
  RN_TRY(const NetworkNamespace node, NetworkNamespace::open(wanted.node_netns));
  RN_TRY(const auto on_node, drop_of(wanted, false));
  return network::load_service_drop(node, on_node);
}

Result<> LinuxNetwork::check_drop_rules(const NodeNetwork& wanted) {
  RN_TRY(const auto ranges, prefixes(wanted.service_cidrs));
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_CHECK(network::check_service_drop(host, wanted.cluster, ranges));
  if (wanted.node_netns.empty()) return {};
  RN_TRY(const NetworkNamespace node, NetworkNamespace::open(wanted.node_netns));
  return network::check_service_drop(node, wanted.cluster, ranges);
}

Result<std::vector<std::string>> LinuxNetwork::missing_host_rules(const NodeNetwork& wanted) {
  std::vector<std::string> out;
  RN_TRY(const auto ranges, prefixes(wanted.service_cidrs));
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  if (const auto drop = network::check_service_drop(host, wanted.cluster, ranges); !drop)
    out.push_back("the drop rule of its services (" + drop.error().message + ")");
  if (wanted.bridge.empty()) return out;
  RN_TRY(const bool is_isolated, network::has_isolation(host, wanted.cluster));
  if (!is_isolated) out.emplace_back("the rules that keep other clusters out");
  RN_TRY(auto netlink, network::Netlink::open(host));
  RN_TRY(const auto routes, network::cluster_routes(netlink, wanted.cluster));
  for (const IpPrefix& range : ranges)
    if (std::none_of(routes.begin(), routes.end(), [&](const auto& one) { return one.destination == range; }))
      out.push_back("the route to its services " + range.to_string());
  return out;
}

Result<std::string> LinuxNetwork::describe(const std::string& cluster) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY(auto netlink, network::Netlink::open(host));
  RN_TRY(const auto links, netlink.links());
  RN_TRY(const auto routes, netlink.routes());
  std::string out;
  std::map<int, std::string> own;
  for (const network::Link& link : links) {
    if (!link.name.starts_with(network::interface_prefix(cluster))) continue;
    own.emplace(link.index, link.name);
    out += fmt::format("link {} ({}, mtu {}{}) {}\n", link.name, link.kind, link.mtu,
                       link.is_running ? "" : ", not running", link.alias);
  }
  for (const network::Route& route : routes)
    if (own.contains(route.index) || network::is_cluster_route(route, cluster))
      out += fmt::format("route {} via {} dev {} proto {} metric {}\n", route.destination.to_string(),
                         route.gateway ? route.gateway->to_string() : "-",
                         own.contains(route.index) ? own[route.index] : std::to_string(route.index),
                         route.protocol, route.metric);
  RN_TRY(auto nft, network::Nft::open());
  RN_TRY(const std::string tables, nft.run("list tables inet"));
  std::istringstream lines(tables);
  const std::string prefix = "table inet " + network::table_name(cluster);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(prefix)) continue;
    RN_TRY(const std::string table, nft.run("list " + line));
    out += table;
  }
  return out;
}

Result<> LinuxNetwork::link_node(const NodeNetwork& wanted) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY(const NetworkNamespace node, NetworkNamespace::open(wanted.node_netns));
  RN_TRY(const network::HostSide side, host_side_of(wanted));
  RN_CHECK(network::make_host_side(host, node, side));
  return network::prepare_node(node, side.link.interface);
}

Result<> LinuxNetwork::unlink_node(const NodeNetwork& wanted) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  if (wanted.bridge.empty())
    RN_CHECK(network::disconnect_node(host, wanted.cluster, wanted.node));
  else
    RN_CHECK(network::remove_cluster_routes(host, wanted.cluster));
  return network::remove_host_translations(host, wanted.cluster);
}

// The drop rule goes last, after the routes to its ranges.
Result<> LinuxNetwork::remove_all(const std::string& cluster) {
  RN_TRY(const NetworkNamespace host, NetworkNamespace::current());
  RN_TRY([[maybe_unused]] auto links, network::delete_cluster_links(host, cluster));
  return network::remove_cluster_host_side(host, cluster);
}

}  // namespace rusternetes::launcher
