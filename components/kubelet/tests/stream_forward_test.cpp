// Port-forward through the kubelet's own server, to real sockets.

#include <fcntl.h>

#include <mutex>
#include <thread>

#include "network/namespace.h"
#include "stream_harness.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using http::SpdyConnection;

namespace {

// An echo server whose peer may end its half; every connection on a thread.
class EchoServer {
 public:
  explicit EchoServer(int family = AF_INET) : fd_(listen_on(family, port)) {
    if (fd_ < 0) return;
    ::fcntl(fd_, F_SETFL, 0);
    thread_ = std::thread([this] {
      for (;;) {
        const int one = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (one < 0) return;
        std::lock_guard lock(mutex_);
        connections_.emplace_back([one] { echo(one); });
      }
    });
  }
  ~EchoServer() {
    if (fd_ < 0) return;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
    for (auto& each : connections_) each.join();
  }
  bool is_up() const { return fd_ >= 0; }
  std::uint16_t port = 0;

 private:
  static void echo(int fd) {
    std::string all;
    char buffer[16384];
    for (;;) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      for (ssize_t sent = 0; sent < got;) {
        const ssize_t n = ::send(fd, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += n;
      }
    }
    ::send(fd, " and the end", 12, MSG_NOSIGNAL);
    ::close(fd);
  }
  int fd_;
  std::mutex mutex_;
  std::thread thread_;
  std::vector<std::thread> connections_;
};

Task<> forward_one(std::shared_ptr<SpdyConnection> connection, std::uint16_t port, int number, int& good) {
  auto error = co_await open(connection, "error", std::to_string(port), std::to_string(number));
  co_await finish(*error);
  auto data = co_await open(connection, "data", std::to_string(port), std::to_string(number));
  const std::string text = "connection " + std::to_string(number) + std::string(20'000, 'x');
  co_await say(*data, text);
  co_await finish(*data);  // half-close: the answer's end comes after it
  auto all = co_await read_all(*data);
  auto said = co_await read_all(*error);
  if (all && *all == text + " and the end" && said && said->empty()) ++good;
}

Task<> forwards(StreamWorld& world, std::uint16_t port, int count) {
  auto connection = co_await world.spdy("/portForward/default/web", "portforward.k8s.io");
  TaskGroup tasks(co_await asio::this_coro::executor);
  int good = 0;
  for (int i = 0; i < count; ++i) tasks.spawn("forward", forward_one(connection, port, i, good));
  const bool is_over = co_await comes_true([&tasks] { return tasks.size() == 0; });
  CHECK(is_over);
  CHECK(good == count);
  co_await connection->close(std::chrono::seconds(1));
}

// As kubectl before 1.32 with an HTTP server that ends its answer by closing: it ends its half after ours.
Task<> client_that_waits(StreamWorld& world, std::uint16_t port) {
  auto connection = co_await world.spdy("/portForward/default/web", "portforward.k8s.io");
  auto error = co_await open(connection, "error", std::to_string(port), "0");
  co_await finish(*error);
  auto data = co_await open(connection, "data", std::to_string(port), "0");
  co_await say(*data, "question");
  auto all = co_await read_all(*data);
  CHECK(*all == "answer");
  auto said = co_await read_all(*error);
  REQUIRE(said);
  CHECK(said->empty());
  co_await connection->close(std::chrono::seconds(1));
}

Task<> refused(StreamWorld& world, std::uint16_t port) {
  auto connection = co_await world.spdy("/portForward/default/web", "portforward.k8s.io");
  auto error = co_await open(connection, "error", std::to_string(port), "0");
  auto data = co_await open(connection, "data", std::to_string(port), "0");
  auto text = co_await read_all(*error);
  REQUIRE(text);
  const std::string number = std::to_string(port);
  CHECK(text->starts_with("error forwarding port " + number +
                          " to pod s1, uid : failed to execute portforward in network namespace \""));
  CHECK(text->find("failed to connect to localhost:" + number +
                   " inside namespace \"s1\", IPv4: dial tcp4 127.0.0.1:" + number +
                   ": connect: connection refused IPv6 ") != std::string::npos);
  auto lost = co_await data->read_some();
  CHECK_FALSE(lost);
  // The connection lives on.
  auto pinged = co_await connection->ping();
  CHECK(pinged);
  co_await connection->close(std::chrono::seconds(1));
}

}  // namespace

TEST_CASE("port-forward reaches a port of the Pod, 100 connections at once, each with half-close") {
  EchoServer echo;
  in_world([&echo](StreamWorld& world) { return forwards(world, echo.port, 100); });
}
TEST_CASE("a connection ends soon after the port has ended its half, though the client waits for that") {
  std::uint16_t port = 0;
  const int listener = listen_on(AF_INET, port);
  ::fcntl(listener, F_SETFL, 0);
  ssize_t received = 0, sent = 0;  // Catch's assertions belong to its own thread
  std::thread server([listener, &received, &sent] {
    const int one = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    char buffer[64];
    received = ::recv(one, buffer, sizeof buffer, 0);
    sent = ::send(one, "answer", 6, MSG_NOSIGNAL);
    ::close(one);
  });
  in_world([port](StreamWorld& world) { return client_that_waits(world, port); });
  server.join();
  CHECK(received == 8);
  CHECK(sent == 6);
  ::close(listener);
}
TEST_CASE("port-forward falls back to IPv6") {
  EchoServer echo(AF_INET6);
  if (!echo.is_up()) {
    WARN("skipped: this host has no IPv6 loopback");
    return;
  }
  in_world([&echo](StreamWorld& world) { return forwards(world, echo.port, 1); });
}
TEST_CASE("port-forward to a closed port says so in the words that kubectl shows") {
  std::uint16_t port = 0;
  ::close(listen_on(AF_INET, port));
  in_world([port](StreamWorld& world) { return refused(world, port); });
}
TEST_CASE("port-forward connects inside the Pod's own network") {
  auto made = network::NetworkNamespace::create();
  if (!made) {
    WARN("skipped: no network namespace can be made here: " << made.error().message);
    return;
  }
  std::unique_ptr<EchoServer> echo;
  REQUIRE(network::inside_thread(*made, [&echo]() -> Result<> {
    echo = std::make_unique<EchoServer>();
    return {};
  }));
  StreamWorld world;
  // Outside there is nobody on that port.
  world.run(refused(world, echo->port));
  world.runtime.sandboxes["s1"].netns_path = "/proc/self/fd/" + std::to_string(made->fd());
  world.run(forwards(world, echo->port, 3));
}
