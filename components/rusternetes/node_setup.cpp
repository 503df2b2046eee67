#include "rusternetes/node_setup.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "network/masquerade.h"
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
  while (!text.empty()) {
    const auto comma = text.find(',');
    RN_TRY(const IpPrefix one, IpPrefix::parse(text.substr(0, comma)));
    out.push_back(one);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<NodeSetup>> NodeSetup::prepare(const ProcessOptions& options) {
  std::unique_ptr<NodeSetup> setup(new NodeSetup(options));
  RN_TRY(setup->host_, NetworkNamespace::current());
  RN_TRY(const auto services, prefixes(options.service_cluster_ip_range));
  if (!options.has_own_node()) {
    setup->node_ = setup->host_;
    if (options.is_by_hand()) RN_CHECK(setup->make());
    return setup;
  }
  if (options.node_netns.empty()) {
    RN_TRY(setup->node_, NetworkNamespace::create());
    RN_CHECK(setup->make());
    return setup;
  }
  RN_TRY(setup->node_, NetworkNamespace::open(options.node_netns));
  for (const auto* where : {&*setup->host_, &*setup->node_})
    RN_CHECK(network::check_service_drop(*where, options.cluster_name, services));
  return setup;
}

Result<void> NodeSetup::make() {
  made_ = true;
  RN_TRY(const auto services, prefixes(options_.service_cluster_ip_range));
  RN_TRY(const auto pods, prefixes(options_.pod_cidr));
  const std::string link_name = network::node_link_name(options_.cluster_name, options_.node_name);
  network::ServiceDrop drop{options_.cluster_name, services, {}};
  if (!options_.has_own_node()) return network::load_service_drop(*host_, drop);
  RN_CHECK(network::load_service_drop(*node_, drop));
  drop.allowed_interfaces = {link_name};
  RN_CHECK(network::load_service_drop(*host_, drop));
  network::NodeLink link;
  link.cluster = options_.cluster_name;
  link.node = options_.node_name;
  RN_TRY(const auto host_address, IpAddress::parse(options_.host_address));
  RN_TRY(const auto node_address, IpAddress::parse(options_.node_address));
  link.addresses = {{host_address, node_address}};
  link.pod_cidrs = pods;
  link.service_ranges = services;
  return network::connect_node(*host_, *node_, link);
}

NodeSetup::~NodeSetup() {
  if (!made_) return;
  auto tell = [](const char* what, const Result<void>& done) {
    if (!done) log::warn("rusternetes", "{} was left behind: {}", what, done.error().message);
  };
  if (options_.has_own_node()) tell("the node's link", network::disconnect_node(*host_, options_.cluster_name, options_.node_name));
  tell("the drop rule", network::remove_service_drop(*host_, options_.cluster_name));
}

Result<int> listen_in(const NetworkNamespace& where, const std::string& address, std::uint16_t port) {
  return network::inside(where, [&]() -> Result<int> {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno_error("socket", errno);
    const int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1) {
      ::close(fd);
      return internal_error(fmt::format("{} is no IPv4 address", address));
    }
    if (::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(fd, 1024) != 0) {
      const int error = errno;
      ::close(fd);
      return errno_error(fmt::format("listen on {}:{} in the node's network", address, port), error);
    }
    return fd;
  });
}

}  // namespace rusternetes
