#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <regex>
#include <sstream>
#include <vector>

#include "network/netlink.h"

namespace rusternetes::network::testing {

const std::optional<std::string>& missing_privilege() {
  static const std::optional<std::string> reason = []() -> std::optional<std::string> {
    auto made = NetworkNamespace::create();
    if (!made) return made.error().message + " (these tests need root)";
    auto nft = inside(*made, []() -> Result<std::string> {
      RN_TRY(auto opened, Nft::open());
      return opened.run("add table inet probe");
    });
    if (!nft) return nft.error().message;
    return std::nullopt;
  }();
  return reason;
}

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpPrefix range(const char* text) { return *IpPrefix::parse(text); }

NetworkNamespace new_namespace() {
  auto made = NetworkNamespace::create();
  REQUIRE(made);
  return *made;
}

namespace {
socklen_t fill(sockaddr_storage& storage, const IpAddress& address, in_port_t port) {
  storage = {};
  storage.ss_family = static_cast<sa_family_t>(address.family());
  if (address.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    in.sin_port = port;
    return sizeof in;
  }
  auto& in = reinterpret_cast<sockaddr_in6&>(storage);
  std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
  in.sin6_port = port;
  return sizeof in;
}

IpAddress address_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET
             ? IpAddress::from_bytes(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr)
             : IpAddress::from_bytes(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr);
}

int open_socket(const NetworkNamespace& where, int family, int type) {
  const auto fd =
      inside(where, [&]() -> Result<int> { return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  REQUIRE(fd);
  REQUIRE(*fd >= 0);
  return *fd;
}

bool wait_for(int fd, short events, int limit_ms) {
  pollfd item{fd, events, 0};
  return poll(&item, 1, limit_ms) == 1 && (item.revents & events);
}

bool carries(int from, int to) {
  const std::string sent = "over the wire";
  if (send(from, sent.data(), sent.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(sent.size())) return false;
  char received[64];
  if (!wait_for(to, POLLIN, 5000)) return false;
  const ssize_t size = recv(to, received, sizeof received, 0);
  return size > 0 && std::string(received, static_cast<std::size_t>(size)) == sent;
}
}  // namespace

Connection::Connection(const NetworkNamespace& server, const IpAddress& address, const NetworkNamespace& client)
    : Connection(server, address, 0, client, address, 0) {}

Connection::Connection(const NetworkNamespace& server, const IpAddress& address, std::uint16_t port, const NetworkNamespace& client,
                       const IpAddress& target, std::uint16_t target_port) {
  const int listener = open_socket(server, address.family(), SOCK_STREAM);
  sockaddr_storage place;
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = fill(place, address, htons(port));
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&place), size) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&place), &size) == 0);
  if (target_port) size = fill(place, target, htons(target_port));
  client_ = open_socket(client, address.family(), SOCK_STREAM);
  const int started = connect(client_, reinterpret_cast<sockaddr*>(&place), size);
  if (started != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(listener);
    FAIL("connect to " << address.to_string() << ": " << std::strerror(error));
  }
  const bool has_arrived = wait_for(listener, POLLIN, 2000);
  if (has_arrived) {
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    server_ = accept4(listener, reinterpret_cast<sockaddr*>(&peer), &peer_size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    seen = address_of(peer);
  }
  close(listener);
  INFO("connection to " << address.to_string() << " from " << client.name());
  REQUIRE(has_arrived);
}

Connection::~Connection() {
  if (client_ >= 0) close(client_);
  if (server_ >= 0) close(server_);
}

bool Connection::works() const { return carries(client_, server_) && carries(server_, client_); }

bool send_datagram(const NetworkNamespace& from, const IpAddress& address) {
  const int fd = open_socket(from, address.family(), SOCK_DGRAM);
  sockaddr_storage place;
  const socklen_t size = fill(place, address, htons(9));
  const bool is_sent = sendto(fd, "x", 1, 0, reinterpret_cast<sockaddr*>(&place), size) == 1;
  close(fd);
  return is_sent;
}

namespace {
Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}
}  // namespace

ArrivalCounter::ArrivalCounter(NetworkNamespace where, const IpPrefix& range) : where_(std::move(where)) {
  REQUIRE(nft(where_, fmt::format("table inet arrivals {{\n counter seen {{\n }}\n chain arriving {{\n"
                                  "  type filter hook prerouting priority -400; policy accept;\n"
                                  "  {} daddr {} counter name seen\n }}\n}}\n",
                                  range.address().is_v4() ? "ip" : "ip6", range.to_string())));
}

int ArrivalCounter::packets() const {
  const auto listed = nft(where_, "list counter inet arrivals seen");
  REQUIRE(listed);
  const auto at = listed->find("packets ");
  REQUIRE(at != std::string::npos);
  return std::stoi(listed->substr(at + 8));
}

void join(const NetworkNamespace& a, const std::string& a_name, const IpPrefix& a_address,
          const NetworkNamespace& b, const std::string& b_name, const IpPrefix& b_address, int mtu) {
  auto left = Netlink::open(a);
  auto right = Netlink::open(b);
  REQUIRE(left);
  REQUIRE(right);
  REQUIRE(left->create_veth({a_name, b_name, &b, mtu, ""}));
  REQUIRE(left->set_up(a_name));
  REQUIRE(right->set_up(b_name));
  REQUIRE(left->ensure_address({(*left->find_link(a_name))->index, a_address, std::nullopt}));
  REQUIRE(right->ensure_address({(*right->find_link(b_name))->index, b_address, std::nullopt}));
}

std::string describe(const NetworkNamespace& where) {
  auto netlink = Netlink::open(where);
  REQUIRE(netlink);
  std::vector<std::string> lines;
  for (const auto& link : *netlink->links())
    lines.push_back(fmt::format("link {} {} up={} mtu={}", link.index, link.name, link.is_up, link.mtu));
  for (const auto& a : *netlink->addresses())
    lines.push_back(fmt::format("address {} on {} peer {}", a.local.to_string(), a.index,
                                a.peer ? a.peer->to_string() : "-"));
  for (const auto& r : *netlink->routes())
    lines.push_back(fmt::format("route {} via {} link {} table {} scope {}", r.destination.to_string(),
                                r.gateway ? r.gateway->to_string() : "-", r.index, r.table, r.scope));
  std::ranges::sort(lines);
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  const auto rules = nft(where, "list ruleset");
  REQUIRE(rules);
  return text + *rules;
}

std::vector<std::string> lines_of(const NetworkNamespace& where) {
  std::vector<std::string> lines;
  std::istringstream text(
      std::regex_replace(describe(where), std::regex("packets [0-9]+ bytes [0-9]+"), "packets"));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

}  // namespace rusternetes::network::testing
