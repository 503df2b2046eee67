#pragma once
// One port for gRPC and HTTP/1.1, as etcd's clients expect it: accepts connections on a thread of its own,
// looks at their first bytes without taking them, and hands each to the server that it asks for.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "rhino/front_bytes.h"
#include "rhino/front_listen.h"

namespace rusternetes::rhino {

// What is behind a listening socket.
struct FrontDoor {
  enum class Serves { grpc_and_http, grpc, http, metrics };
  ListeningSocket socket;
  Serves serves = Serves::grpc_and_http;
  // Both: the first byte tells (an http and an https URL on one address, which etcd allows).
  bool takes_plain = true, takes_tls = false;
};

class Front {
 public:
  struct Options {
    // Take the descriptor, non-blocking, of which nothing has been read. On the front's thread; they must not
    // block.
    std::function<void(int fd, bool is_tls)> to_grpc;
    std::function<void(int fd, bool is_tls, bool is_metrics)> to_http;
    std::chrono::milliseconds patience{10'000};  // for who says nothing
    // Connections that have not said yet what they are; one more and the oldest goes.
    std::size_t most_undecided = 1024;
  };

  // Owns the sockets of `doors`.
  Front(Options options, std::vector<FrontDoor> doors);
  ~Front();  // stop()
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  Result<void> start();
  // No new connections; who is undecided is closed. Idempotent.
  void stop();
  std::size_t undecided() const { return undecided_count_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Undecided {
    int fd;
    const FrontDoor* door;
    Time until;
  };
  void loop();
  void accept_some(std::size_t door);
  void greet(int fd, const FrontDoor& door);
  // Whether it was handed over or closed.
  bool look(int fd, const FrontDoor& door);
  void hand_over(int fd, const FrontDoor& door, bool is_tls, FirstBytes to);
  void forget(int fd);
  void close_late(Time now);
  int wait_ms(Time now) const;
  void watch(int fd, unsigned events);

  Options options_;
  std::vector<FrontDoor> doors_;
  int epoll_ = -1, wake_ = -1;
  std::list<Undecided> waiting_;  // in order of their deadlines
  std::unordered_map<int, std::list<Undecided>::iterator> by_fd_;
  std::atomic<std::size_t> undecided_count_{0};
  bool is_out_of_descriptors_ = false;  // the doors rest for a moment
  Time rest_until_{};
  std::unique_ptr<char[]> buffer_;
  std::thread thread_;
};

}  // namespace rusternetes::rhino
