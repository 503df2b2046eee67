#include "http/listen.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rusternetes::http {
namespace {

constexpr int kBacklog = 4096;

union AnyAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_storage storage;
};

Result<socklen_t> parse_address(const std::string& text, std::uint16_t port, AnyAddress& to) {
  to.storage = {};
  if (::inet_pton(AF_INET, text.c_str(), &to.v4.sin_addr) == 1) {
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(port);
    return sizeof to.v4;
  }
  const std::string v6 = text.empty() ? "::" : text;
  if (::inet_pton(AF_INET6, v6.c_str(), &to.v6.sin6_addr) == 1) {
    to.v6.sin6_family = AF_INET6;
    to.v6.sin6_port = htons(port);
    return sizeof to.v6;
  }
  return Status{400, "BadRequest", fmt::format("not an IP address: {}", text)};
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Descriptor> listen_tcp(const std::string& address, std::uint16_t port) {
  AnyAddress to;
  RN_TRY(const socklen_t length, parse_address(address, port, to));
  const std::string where = fmt::format("listen on {}:{}", address, port);
  Descriptor socket(::socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno_error(where, errno);
  const int on = 1, off = 0;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (to.any.sa_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), &to.any, length) != 0) return errno_error(where, errno);
  if (::listen(socket.get(), kBacklog) != 0) return errno_error(where, errno);
  return socket;
}

Result<Descriptor> listen_unix_path(const std::string& path, unsigned mode) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const std::string where = "listen on " + path;
  if (path.empty() || path.size() >= sizeof to.sun_path) return errno_error(where, ENAMETOOLONG);
  std::memcpy(to.sun_path, path.data(), path.size());
  struct stat old {};
  if (::lstat(path.c_str(), &old) == 0) {
    if (!S_ISSOCK(old.st_mode)) return errno_error(where, EEXIST);
    if (::unlink(path.c_str()) != 0) return errno_error(where, errno);
  }
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno_error(where, errno);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return errno_error(where, errno);
  // Nobody can connect between bind() and listen(), so nobody connects under the wrong mode.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return errno_error(where, error);
  }
  return socket;
}

Result<std::uint16_t> local_port(int fd) {
  AnyAddress own;
  socklen_t length = sizeof own;
  if (::getsockname(fd, &own.any, &length) != 0) return errno_error("getsockname", errno);
  if (own.any.sa_family == AF_INET) return ntohs(own.v4.sin_port);
  if (own.any.sa_family == AF_INET6) return ntohs(own.v6.sin6_port);
  return std::uint16_t{0};
}

void prepare_tcp(int fd) {
  const int on = 1, idle = 30, interval = 10, count = 3;
  // Fail without effect on a unix socket.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

Peer describe_peer(int fd) {
  Peer peer;
  AnyAddress other;
  other.storage = {};
  socklen_t length = sizeof other;
  if (::getpeername(fd, &other.any, &length) != 0) return peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (other.any.sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &other.v4.sin_addr, text, sizeof text);
    peer.address = fmt::format("{}:{}", text, ntohs(other.v4.sin_port));
    peer.is_loopback = (ntohl(other.v4.sin_addr.s_addr) >> 24) == 127;
  } else if (other.any.sa_family == AF_INET6) {
    const auto& address = other.v6.sin6_addr;
    const auto port = ntohs(other.v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
      ::inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
      peer.address = fmt::format("{}:{}", text, port);
      peer.is_loopback = address.s6_addr[12] == 127;
    } else {
      ::inet_ntop(AF_INET6, &address, text, sizeof text);
      peer.address = fmt::format("[{}]:{}", text, port);
      peer.is_loopback = IN6_IS_ADDR_LOOPBACK(&address);
    }
  } else {
    peer.address = "unix";
    peer.is_loopback = true;
  }
  return peer;
}

}  // namespace rusternetes::http
