// The kubelet's listening socket: made by a thread inside the node's namespace, used from any other.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubelet/node/pod_network.h"

namespace rusternetes::kubelet {

namespace {

Result<int> listen_here(const std::string& address, std::uint16_t port) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (address.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
    if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) != 1) return internal_error("not an address: " + address);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
    if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) != 1) return internal_error("not an address: " + address);
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno_error("socket", errno);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    const int error = errno;
    ::close(fd);
    return errno_error(fmt::format("listen on {}:{}", address, port), error);
  }
  return fd;
}

}  // namespace

Task<Result<int>> PodNetwork::listen(std::string address, std::uint16_t port) {
  auto node = node_;
  auto work = [node, address, port]() -> Result<int> {
    return network::inside(*node, [&] { return listen_here(address, port); });
  };
  co_return co_await worker_->run(work);
}

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
}

}  // namespace rusternetes::kubelet
