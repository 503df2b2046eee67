#pragma once
// The sockets that questions come in by. They may be made in another network namespace than the one that the
// process is in: a socket stays where it was made, whoever uses it.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::dns {

struct ListenOptions {
  std::vector<network::IpAddress> addresses;  // 0.0.0.0 and :: stand for all of their family
  std::uint16_t port = 53;                    // 0: any free one, the same for all
  std::optional<network::NetworkNamespace> name_space;
};

// A descriptor with an owner.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct ListenSockets {
  struct Pair {
    network::IpAddress address;
    Socket udp, tcp;
  };
  std::vector<Pair> pairs;
  std::uint16_t port = 0;
};

// Binds UDP and TCP. Where the kernel has no IPv6, `::` is left out if it is not the only one. Errors name
// the address.
Result<ListenSockets> listen(const ListenOptions& options);
// A TCP socket alone, for health and metrics.
Result<Socket> listen_tcp(const network::IpAddress& address, std::uint16_t port,
                          const std::optional<network::NetworkNamespace>& name_space);

}  // namespace rusternetes::dns
