#include "dns/listeners.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace rusternetes::dns {

using network::IpAddress;

namespace {

socklen_t to_sockaddr(const IpAddress& address, std::uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  return sizeof v6;
}

Result<Socket> bound(const IpAddress& address, std::uint16_t port, int kind) {
  const auto fail = [&](std::string_view what) {
    return errno_error(fmt::format("{} {} port {} ({})", what, address.to_string(), port,
                                   kind == SOCK_DGRAM ? "UDP" : "TCP"),
                       errno);
  };
  Socket made(::socket(address.family(), kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.fd() < 0) return fail("make a socket for");
  const int on = 1, buffer = 1 << 20;
  const int fd = made.fd();
  if (!address.is_v4()) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (kind == SOCK_STREAM) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  } else {
    // Bursts of questions wait in the kernel: as many as we wish for with CAP_NET_ADMIN, else as it lets us.
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    // An answer comes from the address that was asked, however many this socket stands for.
    if (address.is_v4())
      ::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    else
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  }
  sockaddr_storage name;
  const socklen_t size = to_sockaddr(address, port, name);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&name), size) != 0) return fail("bind");
  if (kind == SOCK_STREAM && ::listen(fd, 1024) != 0) return fail("listen on");
  return made;
}

Result<std::uint16_t> port_of(const Socket& socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return errno_error("name of a socket", errno);
  return ntohs(name.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(name).sin_port
                                         : reinterpret_cast<sockaddr_in6&>(name).sin6_port);
}

bool has_ipv6() {
  const Socket probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.fd() < 0) return false;
  sockaddr_storage name;
  const socklen_t size = to_sockaddr(IpAddress::from_bytes(AF_INET6, &in6addr_any), 0, name);
  return ::bind(probe.fd(), reinterpret_cast<sockaddr*>(&name), size) == 0;
}

Result<ListenSockets> listen_here(const ListenOptions& options) {
  const IpAddress any_v6 = IpAddress::from_bytes(AF_INET6, &in6addr_any);
  ListenSockets out;
  out.port = options.port;
  for (const auto& address : options.addresses) {
    if (address == any_v6 && options.addresses.size() > 1 && !has_ipv6()) {
      log::debug("dns", "no IPv6 here");
      continue;
    }
    RN_TRY(auto udp, bound(address, out.port, SOCK_DGRAM));
    if (out.port == 0) {
      RN_TRY(out.port, port_of(udp));
    }
    RN_TRY(auto tcp, bound(address, out.port, SOCK_STREAM));
    out.pairs.push_back({address, std::move(udp), std::move(tcp)});
  }
  return out;
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<ListenSockets> listen(const ListenOptions& options) {
  const auto once = [&] {
    return options.name_space ? network::inside(*options.name_space, [&] { return listen_here(options); })
                              : listen_here(options);
  };
  auto made = once();
  // The port that was free for UDP may be taken for TCP.
  for (int i = 0; i < 20 && !made && options.port == 0; ++i) made = once();
  return made;
}

Result<Socket> listen_tcp(const IpAddress& address, std::uint16_t port,
                          const std::optional<network::NetworkNamespace>& name_space) {
  const auto make = [&] { return bound(address, port, SOCK_STREAM); };
  return name_space ? network::inside(*name_space, make) : make();
}

}  // namespace rusternetes::dns
