#include "network/event_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace rusternetes::network {

Result<EventSocket> EventSocket::open(const NetworkNamespace& where, int protocol, std::uint32_t groups) {
  return inside(where, [&]() -> Result<EventSocket> {
    EventSocket events(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (events.fd_ < 0) return errno_error("netlink: a socket for events", errno);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (::bind(events.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return errno_error("netlink: listen to events", errno);
    return events;
  });
}

EventSocket::~EventSocket() {
  if (fd_ >= 0) ::close(fd_);
}

bool EventSocket::drain() {
  std::array<char, 8192> buffer;
  bool has_changed = false;
  for (;;) {
    const auto got = ::recv(fd_, buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      if (errno != ENOBUFS) return has_changed;  // nothing more
      has_changed = true;                        // events were lost
      continue;
    }
    has_changed = true;
  }
}

}  // namespace rusternetes::network
