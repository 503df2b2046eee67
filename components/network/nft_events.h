#pragma once
// Tells that something in a namespace's nftables rules has changed, whoever changed it (nfnetlink's own group).

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::network {

class NftEvents {
 public:
  static Result<NftEvents> open(const NetworkNamespace& where);
  NftEvents(NftEvents&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  NftEvents& operator=(NftEvents&&) = delete;
  ~NftEvents();

  // Readable once there was a change; never blocks. Stays this object's.
  int fd() const { return fd_; }
  // Takes what was told so far; true if there was anything, or more than the kernel could keep.
  bool drain();

 private:
  explicit NftEvents(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace rusternetes::network
