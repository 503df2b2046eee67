#pragma once
// A blocking connection to a port of this host, with deadlines, and waiting for what another thread does.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace rusternetes::rhino::testing {

inline constexpr int deadline_ms = 10'000;

// True as soon as `holds` does, false after the deadline.
inline bool eventually(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class TcpClient {
 public:
  explicit TcpClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int yes = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  TcpClient(const TcpClient&) = delete;
  ~TcpClient() { ::close(fd_); }
  bool is_connected() const { return is_connected_; }
  bool send(std::string_view bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // Until the peer's end or the deadline.
  std::string read_to_end() {
    std::string all;
    char buffer[4096];
    pollfd ready{fd_, POLLIN, 0};
    while (::poll(&ready, 1, deadline_ms) == 1) {
      const auto length = ::recv(fd_, buffer, sizeof buffer, 0);
      if (length <= 0) break;
      all.append(buffer, static_cast<std::size_t>(length));
    }
    return all;
  }
  bool is_closed_by_peer() {
    pollfd ready{fd_, POLLIN, 0};
    char byte = 0;
    return ::poll(&ready, 1, deadline_ms) == 1 && ::recv(fd_, &byte, 1, 0) <= 0;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool is_connected_ = false;
};

}  // namespace rusternetes::rhino::testing
