#pragma once
// Health, readiness and metrics over plain HTTP, as CoreDNS serves them: /health, /ready, /metrics, and
// Kubernetes' own words for the first two.

#include <memory>
#include <vector>

#include "dns/listeners.h"
#include "dns/server.h"
#include "http/server.h"

namespace rusternetes::dns {

class StatusServer {
 public:
  // On the executor of `dns`, which outlives it: an answer also says that the loop turns. Every socket serves
  // every path.
  static Result<std::unique_ptr<StatusServer>> make(asio::any_io_executor executor, const DnsServer& dns,
                                                    std::vector<Socket> sockets);
  void start();
  Task<> stop();

 private:
  StatusServer(asio::any_io_executor executor, const DnsServer& dns);
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  const DnsServer& dns_;
  http::Server server_;
};

}  // namespace rusternetes::dns
