#pragma once
// The server as clients meet it: the ports of the listen URLs, behind them gRPC and HTTP.

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "rhino/flags.h"
#include "rhino/http_endpoints.h"

namespace grpc {
class ServerBuilder;
}

namespace rusternetes::rhino {

class Server {
 public:
  struct Options {
    Flags flags;
    HttpEndpoints::Options endpoints;
    // Registers the services of gRPC; health and reflection are added here.
    std::function<void(grpc::ServerBuilder&)> add_services;
    // Ends all streams; called once, when the server stops.
    std::function<void()> end_streams;
    std::chrono::milliseconds patience{10'000};  // for connections that say nothing
  };

  // Binds, and serves from then on.
  static Result<std::unique_ptr<Server>> start(Options options);
  ~Server();  // stop()

  // Where it listens, with the ports that were bound: client URLs, HTTP client URLs, metrics URLs.
  std::vector<Url> urls() const;
  // No new connections; streams end; calls under way have until `grace` is over. Idempotent.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(3));

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::rhino
