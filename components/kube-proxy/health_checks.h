#pragma once
// The ports on which load balancers ask whether this node has endpoints of a Service
// (spec.healthCheckNodePort).

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kube-proxy/loader.h"
#include "kube-proxy/plain_server.h"

namespace rusternetes::kube_proxy {

class HealthChecks {
 public:
  // `is_healthy`: of the proxy itself. `addresses`: where to listen.
  HealthChecks(asio::any_io_executor executor, network::NetworkNamespace where,
               std::function<bool()> is_healthy);
  ~HealthChecks();
  // Opens and closes ports; calls `failed` for one that cannot be opened, which is tried again with the next
  // call, whatever that changes.
  Task<> set(std::map<std::string, HealthCheck> wanted, std::vector<std::string> addresses,
             std::function<void(const std::string& service, const std::string& message)> failed);
  Task<> stop();

 private:
  struct Port {
    HealthCheck check;
    std::vector<std::string> addresses;
    std::vector<std::unique_ptr<PlainServer>> servers;
  };
  Answer answer(const std::string& service) const;
  Task<> close(std::string service);
  Result<void> open(const std::string& service, Port& port);

  asio::any_io_executor executor_;
  network::NetworkNamespace where_;
  std::function<bool()> is_healthy_;
  std::map<std::string, Port> ports_;
};

}  // namespace rusternetes::kube_proxy
