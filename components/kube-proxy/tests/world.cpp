#include "world.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <thread>

#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/pod_link.h"
#include "network/service_drop.h"
#include "network/sysctl.h"

namespace rusternetes::kube_proxy::testing {

namespace {
const std::string cluster = "kube-proxy-test";

NetworkNamespace new_namespace() {
  auto made = NetworkNamespace::create();
  REQUIRE(made);
  return *made;
}
IpPrefix range(const char* text) { return *IpPrefix::parse(text); }

socklen_t fill(sockaddr_storage& storage, const IpAddress& address, std::uint16_t port) {
  storage = {};
  storage.ss_family = static_cast<sa_family_t>(address.family());
  if (address.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    in.sin_port = htons(port);
    return sizeof in;
  }
  auto& in = reinterpret_cast<sockaddr_in6&>(storage);
  std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
  in.sin6_port = htons(port);
  return sizeof in;
}
std::string text_of(const sockaddr_storage& storage) {
  return (storage.ss_family == AF_INET
              ? IpAddress::from_bytes(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr)
              : IpAddress::from_bytes(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr))
      .to_string();
}
// Asserts nothing, since clients may be on other threads than Catch's: without a descriptor it failed.
Socket open_socket(const NetworkNamespace& where, int family, int type) {
  const auto fd = network::inside(
      where, [&]() -> Result<int> { return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  return Socket(fd ? *fd : -1);
}
bool bind_to(const Socket& socket, const char* address, std::uint16_t port) {
  sockaddr_storage place;
  const socklen_t size = fill(place, ip(address), port);
  return ::bind(socket.get(), reinterpret_cast<sockaddr*>(&place), size) == 0;
}
bool wait_for(int fd, short events, int limit_ms) {
  pollfd item{fd, events, 0};
  return ::poll(&item, 1, limit_ms) == 1;
}
void join(const NetworkNamespace& a, const std::string& a_name, const IpPrefix& a_address,
          const NetworkNamespace& b, const std::string& b_name, const IpPrefix& b_address) {
  auto left = network::Netlink::open(a);
  auto right = network::Netlink::open(b);
  REQUIRE(left->create_veth({a_name, b_name, &b, 0, ""}));
  REQUIRE(left->set_up(a_name));
  REQUIRE(right->set_up(b_name));
  REQUIRE(left->ensure_address({(*left->find_link(a_name))->index, a_address, std::nullopt}));
  REQUIRE(right->ensure_address({(*right->find_link(b_name))->index, b_address, std::nullopt}));
}
}  // namespace

const std::optional<std::string>& missing_privilege() {
  static const std::optional<std::string> reason = []() -> std::optional<std::string> {
    auto made = NetworkNamespace::create();
    if (!made) return made.error().message + " (these tests need root)";
    const auto tried = nft(*made, "add table inet probe");
    if (!tried) return tried.error().message;
    return std::nullopt;
  }();
  return reason;
}

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return network::inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, network::Nft::open());
    return opened.run(commands);
  });
}

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

bool Talk::works() const {
  for (const auto& [from, to] :
       {std::pair{client.get(), accepted.get()}, std::pair{accepted.get(), client.get()}}) {
    if (::send(from, "more", 4, MSG_NOSIGNAL) != 4) return false;
    char got[16];
    if (!wait_for(to, POLLIN, 3000) || ::recv(to, got, sizeof got, 0) != 4) return false;
  }
  return true;
}

World::World(bool has_ipv6)
    : outside(new_namespace()), host(new_namespace()), node(new_namespace()), far(new_namespace()) {
  network::ServiceDrop drop{cluster, {range("10.96.0.0/16")}, {}};
  network::NodeLink link{.cluster = cluster,
                         .node = "here",
                         .addresses = {{ip("10.213.0.1"), ip("10.213.0.11")}},
                         .pod_cidrs = {range("10.244.0.0/16")}};
  if (has_ipv6) {
    drop.service_ranges.push_back(range("fd00:96::/112"));
    link.addresses.push_back({ip("fd00:213::1"), ip("fd00:213::11")});
    link.pod_cidrs.push_back(range("fd00:244::/56"));
    for (const auto& each : {outside, host, far})
      REQUIRE(network::prepare_pod(each, {.is_ipv6_enabled = true}));
    // Links can be used at once, instead of when nobody has said for a second that the address is theirs.
    for (const auto& each : {outside, host, node, far})
      REQUIRE(network::inside(each, []() -> Result<void> {
        for (const char* which : {"all", "default"})
          RN_CHECK(network::write_sysctl(std::string("net/ipv6/conf/") + which + "/accept_dad", "0"));
        return {};
      }));
  }
  network::ServiceDrop host_drop = drop;
  host_drop.allowed_interfaces = {network::node_link_name(cluster, "here")};
  REQUIRE(network::load_service_drop(host, host_drop));
  REQUIRE(network::load_service_drop(node, drop));
  link.service_ranges = drop.service_ranges;
  REQUIRE(network::set_forwarding(host, {.ipv4 = true}));
  if (has_ipv6) REQUIRE(network::set_forwarding(host, {.ipv6 = true}));
  REQUIRE(network::connect_node(host, node, link));
  REQUIRE(network::prepare_node(node));
  for (const auto& [name, last] : {std::pair{"a", "2"}, std::pair{"b", "3"}}) {
    std::vector<IpAddress> addresses{ip((std::string("10.244.1.") + last).c_str())};
    if (has_ipv6) addresses.push_back(ip((std::string("fd00:244:0:1::") + last).c_str()));
    add_pod(name, std::move(addresses));
  }
  join(node, "far0", range("10.244.9.1/24"), far, "eth0", range("10.244.9.2/24"));
  REQUIRE(network::Netlink::open(far)->ensure_route({IpPrefix::everything(AF_INET), ip("10.244.9.1")}));
  pods.emplace("far", far);
  // Somebody beyond the host, who knows the way to the node.
  join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
  for (const char* there : {"10.213.0.0/24", "10.96.0.0/16", "192.0.2.0/24"})
    REQUIRE(network::Netlink::open(outside)->ensure_route({range(there), ip("198.51.100.1")}));
  REQUIRE(network::Netlink::open(host)->ensure_route({range("192.0.2.0/24"), ip("10.213.0.11")}));
  if (has_ipv6) add_ipv6();
}
World::~World() = default;

void World::add_ipv6() {
  const auto add = [](const NetworkNamespace& where, const char* link, const char* address) {
    auto netlink = network::Netlink::open(where);
    REQUIRE(netlink->ensure_address({(*netlink->find_link(link))->index, range(address), std::nullopt}));
  };
  add(node, "far0", "fd00:244:0:9::1/64");
  add(far, "eth0", "fd00:244:0:9::2/64");
  add(host, "up0", "2001:db8::1/64");
  add(outside, "eth0", "2001:db8::2/64");
  REQUIRE(network::Netlink::open(far)->ensure_route({IpPrefix::everything(AF_INET6), ip("fd00:244:0:9::1")}));
  for (const char* there : {"fd00:213::/64", "fd00:96::/112"})
    REQUIRE(network::Netlink::open(outside)->ensure_route({range(there), ip("2001:db8::1")}));
}

void World::add_pod(const std::string& name, std::vector<IpAddress> addresses) {
  const NetworkNamespace& made = pods.emplace(name, new_namespace()).first->second;
  if (std::ranges::any_of(addresses, [](const IpAddress& each) { return !each.is_v4(); }))
    REQUIRE(network::prepare_pod(made, {.is_ipv6_enabled = true}));
  REQUIRE(network::wire_pod(
      node, made,
      {.cluster = cluster, .id = name, .addresses = std::move(addresses), .gateway = ip("10.213.0.11")}));
}

void World::serve_tcp(const std::string& name, const NetworkNamespace& where, const char* address,
                      std::uint16_t port) {
  Socket socket = open_socket(where, ip(address).family(), SOCK_STREAM);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(bind_to(socket, address, port));
  REQUIRE(::listen(socket.get(), 64) == 0);
  servers_.push_back({name, std::move(socket), false});
}

void World::serve_udp(const std::string& name, const NetworkNamespace& where, const char* address,
                      std::uint16_t port) {
  Socket socket = open_socket(where, ip(address).family(), SOCK_DGRAM);
  REQUIRE(bind_to(socket, address, port));
  servers_.push_back({name, std::move(socket), true});
}

void World::stop_serving(const std::string& name) {
  std::erase_if(servers_, [&](const Server& each) { return each.name == name; });
}

Talk World::tcp(const NetworkNamespace& from, const char* address, std::uint16_t port, int limit_ms,
                const char* source) {
  Talk out;
  out.client = open_socket(from, ip(address).family(), SOCK_STREAM);
  if (out.client.get() < 0 || (source && !bind_to(out.client, source, 0))) {
    out.outcome = "no socket";
    return out;
  }
  sockaddr_storage place;
  const socklen_t size = fill(place, ip(address), port);
  int error = ::connect(out.client.get(), reinterpret_cast<sockaddr*>(&place), size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (!wait_for(out.client.get(), POLLOUT, limit_ms)) {
      out.outcome = "silence";
      return out;
    }
    socklen_t length = sizeof error;
    ::getsockopt(out.client.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  }
  out.outcome = error == 0 ? "ok" : error == ECONNREFUSED ? "refused" : std::strerror(error);
  if (error != 0) return out;
  for (auto& server : servers_) {
    if (server.is_udp || !wait_for(server.socket.get(), POLLIN, 0)) continue;
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    out.accepted = Socket(::accept4(server.socket.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size,
                                    SOCK_CLOEXEC | SOCK_NONBLOCK));
    out.server = server.name;
    out.seen = text_of(peer);
  }
  return out;
}

Socket World::udp_socket(const NetworkNamespace& from, const char* source) {
  Socket out = open_socket(from, source ? ip(source).family() : AF_INET, SOCK_DGRAM);
  REQUIRE(out.get() >= 0);
  if (source) REQUIRE(bind_to(out, source, 0));
  return out;
}

Talk World::udp(Socket& socket, const char* address, std::uint16_t port, int limit_ms) {
  Talk out;
  sockaddr_storage place;
  const socklen_t size = fill(place, ip(address), port);
  // Connected, so that an ICMP error is told.
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&place), size) == 0);
  char buffer[64];
  ::send(socket.get(), "ask", 3, 0);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  out.outcome = "silence";
  while (std::chrono::steady_clock::now() < deadline) {
    for (auto& server : servers_) {
      if (!server.is_udp || !wait_for(server.socket.get(), POLLIN, 1)) continue;
      sockaddr_storage peer{};
      socklen_t peer_size = sizeof peer;
      if (::recvfrom(server.socket.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer),
                     &peer_size) < 0)
        continue;
      ::sendto(server.socket.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&peer), peer_size);
      out.server = server.name;
      out.seen = text_of(peer);
    }
    if (!wait_for(socket.get(), POLLIN, 1)) continue;
    const auto got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got > 0) out.outcome = "ok";
    if (got < 0 && errno == ECONNREFUSED) out.outcome = "refused";
    break;
  }
  return out;
}

int World::dropped() const { return static_cast<int>(network::service_drop_count(node, cluster)->packets); }

std::string http_get(const NetworkNamespace& from, const char* address, std::uint16_t port,
                     const std::string& path) {
  Socket socket = open_socket(from, ip(address).family(), SOCK_STREAM);
  sockaddr_storage place;
  const socklen_t size = fill(place, ip(address), port);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&place), size) != 0 && errno != EINPROGRESS)
    return "";
  if (!wait_for(socket.get(), POLLOUT, 2000)) return "";
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  std::string out;
  char buffer[65536];
  while (wait_for(socket.get(), POLLIN, 3000)) {
    const auto got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got <= 0) break;
    out.append(buffer, static_cast<std::size_t>(got));
  }
  return out;
}

}  // namespace rusternetes::kube_proxy::testing
