#include "rusternetes/node_setup.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "network/docker_accepts.h"
#include "network/masquerade.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"

namespace rusternetes {

using network::IpAddress;
using network::IpPrefix;
using network::NetworkNamespace;

namespace {

Result<std::vector<IpPrefix>> prefixes(std::string_view text) {
  std::vector<IpPrefix> out;
  for (const auto& one : split_list(text)) {
    RN_TRY(const IpPrefix prefix, IpPrefix::parse(one));
    out.push_back(prefix);
  }
  return out;
}

Result<std::vector<IpAddress>> addresses(std::string_view text) {
  std::vector<IpAddress> out;
  for (const auto& one : split_list(text)) {
    RN_TRY(const IpAddress address, IpAddress::parse(one));
    out.push_back(address);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<NodeSetup>> NodeSetup::prepare(const ProcessOptions& options,
                                                      const NetworkNamespace& host) {
  std::unique_ptr<NodeSetup> setup(new NodeSetup(options, host));
  if (options.is_by_hand()) {
    RN_CHECK(setup->make());
    return setup;
  }
  setup->node_ = host;
  if (options.has_own_node()) {
    RN_TRY(setup->node_, NetworkNamespace::open(options.node_netns));
  }
  RN_TRY(const auto services, prefixes(options.service_cluster_ip_range));
  for (const NetworkNamespace* where : {&host, static_cast<const NetworkNamespace*>(&*setup->node_)})
    RN_CHECK(network::check_service_drop(*where, options.cluster_name, services));
  return setup;
}

Result<void> NodeSetup::make() {
  RN_TRY(const auto services, prefixes(options_.service_cluster_ip_range));
  network::ServiceDrop drop{options_.cluster_name, services, {}};
  made_ = true;
  const auto guard = [&](const NetworkNamespace& where) -> Result<void> {
    auto loaded = network::load_service_drop(where, drop);
    if (loaded) return {};
    return Status{
        loaded.error().code, loaded.error().reason,
        fmt::format("the drop rule of the service range {} does not stand (nftables table inet {}): {}",
                    options_.service_cluster_ip_range, network::table_name(options_.cluster_name),
                    loaded.error().message)};
  };
  if (!options_.has_own_node()) {
    node_ = host_;
    return guard(host_);
  }
  RN_TRY(node_, NetworkNamespace::create());
  RN_CHECK(guard(*node_));
  drop.allowed_interfaces = {network::node_link_name(options_.cluster_name, options_.node_name)};
  RN_CHECK(guard(host_));
  return connect();
}

// The link, and what makes the host pass on what comes from the node. The kubelet does the node's own part.
Result<void> NodeSetup::connect() {
  network::NodeLink link;
  link.cluster = options_.cluster_name;
  link.node = options_.node_name;
  RN_TRY(const auto hosts, addresses(options_.host_address));
  RN_TRY(const auto nodes, addresses(options_.node_address));
  if (hosts.size() != nodes.size())
    return Status{400, "BadRequest", "--node-address and --host-address name as many addresses each"};
  for (std::size_t i = 0; i < nodes.size(); ++i) link.addresses.push_back({hosts[i], nodes[i]});
  RN_TRY(link.pod_cidrs, prefixes(options_.pod_cidr));
  RN_TRY(link.service_ranges, prefixes(options_.service_cluster_ip_range));
  RN_TRY(link.mtu, network::uplink_mtu(host_));
  RN_CHECK(network::connect_node(host_, *node_, link));
  network::Masquerade rule;
  rule.cluster = options_.cluster_name;
  rule.sources = link.pod_cidrs;
  for (const auto& pair : link.addresses) rule.sources.push_back(IpPrefix::host(pair.node));
  rule.except_destinations = rule.sources;
  for (const auto& pair : link.addresses) rule.except_destinations.push_back(IpPrefix::host(pair.host));
  const std::string name = network::node_link_name(options_.cluster_name, options_.node_name);
  rule.from_interfaces = rule.except_to_interfaces = {name};
  RN_CHECK(network::load_masquerade(host_, rule));
  RN_TRY(const auto published, published_ports(options_));
  RN_CHECK(network::load_published_ports(host_, {options_.cluster_name, nodes, published}));
  network::Forwarding forwarding;
  for (const auto& pair : link.addresses) (pair.node.is_v4() ? forwarding.ipv4 : forwarding.ipv6) = true;
  // Left on at the end, as engines leave it: others may stand on it by then.
  RN_TRY([[maybe_unused]] const auto before, network::set_forwarding(host_, forwarding));
  return {};
}

// The drop rule goes last, after the routes to its ranges.
NodeSetup::~NodeSetup() {
  if (!made_) return;
  auto tell = [](const char* what, const auto& done) {
    if (!done) log::warn("rusternetes", "{} stays behind: {}", what, done.error().message);
  };
  tell("a link", network::delete_cluster_links(host_, options_.cluster_name));
  tell("a published port", network::remove_published_ports(host_, options_.cluster_name));
  tell("an accept in DOCKER-USER", network::remove_docker_accepts(host_, options_.cluster_name));
  tell("the masquerade", network::remove_masquerade(host_, options_.cluster_name));
  tell("the drop rule", network::remove_service_drop(host_, options_.cluster_name));
}

Result<std::vector<network::PublishedPort>> published_ports(const ProcessOptions& options) {
  std::vector<network::PublishedPort> out;
  for (const auto& text : options.publish) {
    RN_TRY(const auto port, network::PublishedPort::parse(text));
    out.push_back(port);
  }
  return out;
}

Result<int> listen_in(const NetworkNamespace& where, const std::string& address, std::uint16_t port) {
  return network::inside(where, [&]() -> Result<int> {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
    if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1)
      return internal_error(fmt::format("{} is no address", address));
    const int fd = ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno_error("socket", errno);
    const int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const auto* name =
        is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    if (::bind(fd, name, is_v4 ? sizeof v4 : sizeof v6) != 0 || ::listen(fd, 1024) != 0) {
      const int error = errno;
      ::close(fd);
      return errno_error(fmt::format("listen on {}:{} in the node's network", address, port), error);
    }
    return fd;
  });
}

}  // namespace rusternetes
