#include "rhino/front_listen.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rusternetes::rhino {
namespace {

constexpr int backlog = 4096;

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un unix_path;
  sockaddr_storage storage;
};

socklen_t fill(Address& address, const std::string& ip, std::uint16_t port) {
  address.storage = {};
  if (::inet_pton(AF_INET, ip.c_str(), &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    return sizeof address.v4;
  }
  if (::inet_pton(AF_INET6, ip.c_str(), &address.v6.sin6_addr) != 1) return 0;
  address.v6.sin6_family = AF_INET6;
  address.v6.sin6_port = htons(port);
  return sizeof address.v6;
}

Result<int> bind_and_listen(const Address& address, socklen_t length, ListenOptions options,
                            const std::string& what) {
  const int fd = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno_error(fmt::format("listen on {}", what), errno);
  const int yes = 1, no = 0;
  if (address.any.sa_family != AF_UNIX) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (options.reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  const bool is_wildcard =
      address.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr);
  if (address.any.sa_family == AF_INET6)
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_wildcard ? &no : &yes, sizeof yes);
  if (::bind(fd, &address.any, length) == 0 && ::listen(fd, backlog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return errno_error(fmt::format("listen on {}", what), error);
}

Result<int> listen_unix(const Url& url) {
  const std::string path = url.socket_path();
  Address address{};
  address.unix_path.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.unix_path.sun_path)
    return internal_error(fmt::format("listen on {}: the path is longer than the {} bytes of a socket's name",
                                      url.text(),
                                      sizeof address.unix_path.sun_path - 1));
  std::memcpy(address.unix_path.sun_path, path.data(), path.size());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return errno_error(fmt::format("listen on {}", url.text()), errno);
  return bind_and_listen(address, sizeof address.unix_path, {}, url.text());
}

Result<int> listen_ip(const std::string& ip, std::uint16_t port, ListenOptions options, const Url& url) {
  Address address{};
  const socklen_t length = fill(address, ip, port);
  if (length == 0) return internal_error(fmt::format("expected IP in URL for binding ({})", url.text()));
  return bind_and_listen(address, length, options, url.text());
}

// A host without the first family falls back to the second.
Result<int> listen_either(const char* first, const char* second, std::uint16_t port, ListenOptions options,
                          const Url& url) {
  Address probe{};
  fill(probe, first, port);
  const int fd = ::socket(probe.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return listen_ip(second, port, options, url);
  ::close(fd);
  return listen_ip(first, port, options, url);
}

std::uint16_t bound_port(int fd) {
  Address address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, &address.any, &length) != 0) return 0;
  return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

}  // namespace

Result<ListeningSocket> listen_on(const Url& url, ListenOptions options) {
  ListeningSocket socket{-1, url};
  if (url.is_unix()) {
    RN_TRY(socket.fd, listen_unix(url));
    return socket;
  }
  const std::string host = url.host_name();
  const auto port =
      static_cast<std::uint16_t>(parse_go_uint(url.port().empty() ? "0" : url.port()).value_or(0));
  if (host == "localhost") {
    RN_TRY(socket.fd, listen_either("127.0.0.1", "::1", port, options, url));
  } else if (host == "0.0.0.0" || host == "::") {
    RN_TRY(socket.fd, listen_either("::", "0.0.0.0", port, options, url));
  } else {
    RN_TRY(socket.fd, listen_ip(host, port, options, url));
  }
  const bool is_v6 = host.find(':') != std::string::npos;
  socket.url.host = fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", bound_port(socket.fd));
  return socket;
}

void prepare_connection(int fd) {
  const int yes = 1, seconds = 30;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

}  // namespace rusternetes::rhino
