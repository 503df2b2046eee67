#pragma once
// A server with a handler for every situation the tests need, clients to it, and raw sockets.

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "base/task.h"
#include "certificates.h"
#include "http/client.h"
#include "http/server.h"

namespace rusternetes::http::testing {

constexpr std::chrono::seconds kDeadline{10};

// True as soon as `holds` does, false after the deadline.
bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds deadline = kDeadline);

std::string pattern(std::size_t size);

struct Reply {
  bool is_ok = false;
  Status error;
  int status = 0;
  Headers headers;
  std::string body;
};

class Harness {
 public:
  explicit Harness(ServerLimits limits = {}, bool asks_for_certificates = false, int threads = 2);
  ~Harness();

  // "h2", "https1", "http", "unix"
  std::unique_ptr<Client> client(const std::string& kind, ClientOptions options = {},
                                 const Identity* identity = nullptr, bool trusts_server = true);
  Reply fetch(Client& client, ClientRequest request);
  Reply get(Client& client, std::string target);
  Reply post(Client& client, std::string target, std::string body);
  void run(Task<> task) { run_blocking(thread.executor(), std::move(task)); }
  // Begins to stop; the future is ready when stop() has returned.
  std::future<void> stop_later(std::chrono::milliseconds grace);
  // Lets /slow handlers answer.
  void release();

  TestAuthority authority{"server authority"};
  TestAuthority client_authority{"client authority"};
  Identity server_identity = authority.issue_server("test server");
  EventThread thread{"client"};  // the clients' executor
  std::uint16_t tls_port = 0;
  std::uint16_t plain_port = 0;
  std::string unix_path;
  std::atomic<int> handled{0};
  std::atomic<int> watching{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> waiting{0};
  std::atomic<std::size_t> written{0};  // bytes that /flood got rid of
  std::atomic<int> body_errors{0};

  ServerTls server_tls() const;

 private:
  Task<> handle(std::shared_ptr<Exchange> exchange);
  Task<> watch(std::shared_ptr<Exchange> exchange);
  Task<> slow(std::shared_ptr<Exchange> exchange);
  Task<> echo_stream(std::shared_ptr<Exchange> exchange);
  Task<> upgrade(std::shared_ptr<Exchange> exchange);
  Task<> flood(std::shared_ptr<Exchange> exchange);
  Task<> trickle(std::shared_ptr<Exchange> exchange);

  bool asks_for_certificates_;
  std::vector<std::unique_ptr<EventThread>> threads_;
  std::atomic<bool> is_released_{false};
  std::mutex clients_mutex_;

 public:
  std::unique_ptr<Server> server;
};

// A blocking socket with a receive timeout.
class RawSocket {
 public:
  explicit RawSocket(std::uint16_t port);
  ~RawSocket();
  bool send(std::string_view bytes);
  // Until the peer's end or the deadline.
  std::string read_to_end();
  // Until `text` came (inclusive, and whatever came with it).
  std::string read_until(std::string_view text);
  bool is_at_end();  // waits for it
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace rusternetes::http::testing
