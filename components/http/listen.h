#pragma once
// Listening sockets as file descriptors. Internal to this folder.

#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"
#include "http/server.h"

namespace rusternetes::http {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// A numeric address of either family; empty: all.
Result<Descriptor> listen_tcp(const std::string& address, std::uint16_t port);
Result<Descriptor> listen_unix_path(const std::string& path, unsigned mode);
Result<std::uint16_t> local_port(int fd);

// Settings of a TCP socket, accepted or connecting: what is written leaves at once, and a peer that has vanished is noticed
// after a minute of silence.
void prepare_tcp(int fd);
// Who is at a connected socket's other end.
Peer describe_peer(int fd);

}  // namespace rusternetes::http
