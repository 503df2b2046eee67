#pragma once
// A netlink socket on which the kernel tells of changes: what of them does not matter, only that there were
// some.

#include <cstdint>
#include <utility>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::network {

class EventSocket {
 public:
  // `groups` are bits, as of sockaddr_nl.
  static Result<EventSocket> open(const NetworkNamespace& where, int protocol, std::uint32_t groups);
  EventSocket(EventSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  EventSocket& operator=(EventSocket&&) = delete;
  ~EventSocket();

  // Readable once there was a change; never blocks. Stays this object's.
  int fd() const { return fd_; }
  // Takes what was told so far; true if there was anything, or more than the kernel could keep.
  bool drain();

 private:
  explicit EventSocket(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace rusternetes::network
