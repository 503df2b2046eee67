#pragma once
// Api-servers as a proxy sees them, a proxy in front of them, and clients.

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "api-proxy/proxy.h"
#include "certs/certificate.h"
#include "http/server.h"

namespace rusternetes::api_proxy::testing {

using namespace std::chrono_literals;

// True as soon as `holds` does, false after the deadline.
bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds deadline = 20s);

std::string pattern(std::size_t size);

// The certificates of all tests.
struct Pki {
  certs::KeyPair authority, server, client;
  static const Pki& get();
};

// Serves /readyz and /who over TLS; asks for client certificates.
class TestServer {
 public:
  explicit TestServer(std::string name);
  ~TestServer();
  // On the port that it had.
  void start();
  // Its connections break, and nobody listens any more.
  void kill();
  // As SIGSTOP does: the kernel takes connections, and that is all.
  void pause();
  void resume();
  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return server_->open_connections(); }

  std::atomic<bool> is_ready{true};
  std::atomic<int> probes{0};

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  std::string name_;
  std::uint16_t port_ = 0;
  std::shared_ptr<std::promise<void>> paused_;
  EventThread thread_{"test-server"};
  std::unique_ptr<http::Server> server_;
};

// A blocking TCP socket whose every call ends within 20 s.
class Socket {
 public:
  explicit Socket(int fd);
  static Socket connect(std::uint16_t port);
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Socket();
  int fd() const { return fd_; }
  bool send(std::string_view bytes) const;
  void end() const { ::shutdown(fd_, SHUT_WR); }
  // Fewer bytes: the end came. What else went wrong is said behind them.
  std::string read(std::size_t size) const;
  std::string read_to_end() const { return read(SIZE_MAX); }
  // Waits for it: an end or a reset.
  bool is_at_end() const;
  void reset();  // closes by RST

 private:
  int fd_;
};

// A plain listener: a server without TLS, whose probes fail.
class Listener {
 public:
  explicit Listener(std::uint16_t port = 0, int backlog = 64);
  ~Listener();
  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }
  Socket accept() const;

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

class World {
 public:
  explicit World(const std::vector<std::uint16_t>& ports, const std::function<void(Options&)>& adjust = {});
  ~World();
  // Reads the proxy's state on its own thread.
  Balancer::Standing standing(std::size_t server);
  std::size_t connections(std::size_t server);
  std::size_t connections();
  bool are_ready(std::size_t count);  // waits until so many servers are
  std::uint16_t port() const { return proxy->port(); }
  void stop();

  EventThread thread{"proxy"};
  std::unique_ptr<ApiProxy> proxy;
};

// An HTTP client that keeps its one connection.
class Caller {
 public:
  explicit Caller(std::uint16_t port, bool has_certificate = false);
  // The body, or what went wrong behind "error: ".
  std::string get(const std::string& target);

 private:
  EventThread thread_{"caller"};
  std::unique_ptr<http::Client> client_;
};

// GET over a new connection.
std::string get_once(std::uint16_t port, const std::string& target);
// The status of a plain GET.
int plain_status(std::uint16_t port, const std::string& target);

}  // namespace rusternetes::api_proxy::testing
