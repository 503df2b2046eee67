#include "rusternetes/node_setup.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "network/names.h"
#include "network/node_link.h"
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
  RN_TRY(const auto side, host_side(options_));
  drop = network::host_drop(side.link);
  RN_CHECK(guard(host_));
  return network::make_host_side(host_, *node_, side);
}

// The drop rule goes last, after the routes to its ranges.
NodeSetup::~NodeSetup() {
  if (!made_) return;
  auto tell = [](const char* what, const auto& done) {
    if (!done) log::warn("rusternetes", "{} stays behind: {}", what, done.error().message);
  };
  tell("a link", network::delete_cluster_links(host_, options_.cluster_name));
  tell("a translation", network::remove_host_translations(host_, options_.cluster_name));
  tell("the drop rule", network::remove_service_drop(host_, options_.cluster_name));
}

Result<network::HostSide> host_side(const ProcessOptions& options) {
  network::HostSide out;
  network::NodeLink& link = out.link;
  link.cluster = options.cluster_name;
  link.node = options.node_name;
  RN_TRY(const auto hosts, addresses(options.host_address));
  RN_TRY(const auto nodes, addresses(options.node_address));
  if (hosts.size() != nodes.size())
    return Status{400, "BadRequest", "--node-address and --host-address name as many addresses each"};
  for (std::size_t i = 0; i < nodes.size(); ++i) link.addresses.push_back({hosts[i], nodes[i]});
  RN_TRY(link.pod_cidrs, prefixes(options.pod_cidr));
  RN_TRY(link.service_ranges, prefixes(options.service_cluster_ip_range));
  RN_TRY(out.published, published_ports(options));
  return out;
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
