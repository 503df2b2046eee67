#pragma once
// Servers on the loopback for probes and hooks to ask: HTTP with a handler of the test's, and gRPC's health service.

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "http/server.h"

namespace rusternetes::kubelet::testing {

// Serves on its executor; ask and change it from there.
class HttpTarget {
 public:
  struct Reply {
    int status = 200;
    std::string body = "ok";
    std::string location;
  };
  explicit HttpTarget(EventThread& thread, const http::ServerTls* tls = nullptr);
  ~HttpTarget();

  std::function<Reply(const http::RequestHead&)> answer = [](const http::RequestHead&) { return Reply{}; };
  bool is_silent = false;  // then a request is never answered
  std::vector<http::RequestHead> requests;
  std::uint16_t port = 0;

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  Task<> close();
  EventThread& thread_;
  AsyncEvent never_;
  std::unique_ptr<http::Server> server_;
};

// grpc.health.v1.Health on a thread of its own: HTTP/2 with prior knowledge, the outcome in trailers.
class GrpcTarget {
 public:
  struct Reply {
    int health = 1;  // SERVING
    int code = 0;    // grpc-status; not 0: no message
    std::string message;
    bool is_trailers_only = false;
  };
  explicit GrpcTarget(std::map<std::string, Reply> services);
  ~GrpcTarget();
  std::uint16_t port = 0;
  // Of the last call.
  std::map<std::string, std::string> headers() const;

 private:
  struct Connection;
  void serve();
  std::map<std::string, Reply> services_;
  int listener_ = -1;
  std::atomic<bool> is_over_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::string> headers_;
  std::thread thread_;
};

// A port of the loopback where nobody listens.
std::uint16_t closed_port();

}  // namespace rusternetes::kubelet::testing
