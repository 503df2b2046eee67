#include "kubelet/network_socket.h"

#include <sys/socket.h>

#include <cerrno>

namespace rusternetes::kubelet {

Result<http::Descriptor> tcp_socket_in(const network::NetworkNamespace& where, int family) {
  return network::inside(where, [family]() -> Result<http::Descriptor> {
    http::Descriptor made(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.get() < 0) return errno_error("socket", errno);
    return made;
  });
}

http::OpenSocket sockets_in(network::NetworkNamespace where) {
  return [where](int family) -> Result<int> {
    RN_TRY(auto made, tcp_socket_in(where, family));
    return made.release();
  };
}

}  // namespace rusternetes::kubelet
