#pragma once
// /healthz, /livez and /readyz of a program, over TLS, without authentication, as kubelets and people ask for
// them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "http/server.h"

namespace rusternetes::program {

struct HealthCheck {
  std::string name;
  std::function<Result<void>()> check;
};

struct HealthOptions {
  std::string bind_address = "0.0.0.0";
  std::uint16_t port = 0;                  // 0: any free one
  std::string certificate_file, key_file;  // both empty: a certificate of its own, made now
};

class HealthServer {
 public:
  // Everything on `executor`, so that an answer also says that the loop turns.
  HealthServer(asio::any_io_executor executor, std::vector<HealthCheck> checks);
  ~HealthServer();
  Result<std::uint16_t> start(const HealthOptions& options);
  Task<> stop();

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  std::vector<HealthCheck> checks_;
  http::Server server_;
};

}  // namespace rusternetes::program
