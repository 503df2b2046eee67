#pragma once
// One server as it is seen from here: its addresses, and what its /readyz says. Belongs to one executor.

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api-proxy/balancer.h"
#include "api-proxy/host_port.h"
#include "base/task.h"
#include "http/client.h"

namespace rusternetes::api_proxy {

struct ProbeResult {
  Balancer::Probe probe = Balancer::Probe::failed;
  std::string message;  // why it is not ready; empty: it is
};

class Backend {
 public:
  using Endpoint = asio::ip::tcp::endpoint;
  // Asked for each new connection.
  using TlsSource = std::function<http::ClientTls()>;

  // Certificates and keys that cannot be used are an error here.
  static Result<std::unique_ptr<Backend>> make(asio::any_io_executor executor, HostPort where, TlsSource tls,
                                               std::chrono::milliseconds probe_timeout);

  const HostPort& where() const { return where_; }
  // Empty while its name has not been resolved.
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  bool is_literal() const { return is_literal_; }
  // Of a name: resolves it once. False: it could not be, and the addresses are those that it had.
  Task<bool> resolve();

  // Asks once, within the time limit.
  Task<ProbeResult> probe();
  // The next probe makes a connection of its own.
  void forget_connection() { client_.reset(); }

 private:
  Backend(asio::any_io_executor executor, HostPort where, TlsSource tls,
          std::chrono::milliseconds probe_timeout);
  Result<std::shared_ptr<http::Client>> make_client(const Endpoint& endpoint) const;
  Task<ProbeResult> ask(std::shared_ptr<http::Client> client,
                        std::chrono::steady_clock::time_point deadline) const;

  asio::any_io_executor executor_;
  HostPort where_;
  TlsSource tls_;
  std::chrono::milliseconds probe_timeout_;
  bool is_literal_ = false;
  std::vector<Endpoint> endpoints_;
  std::shared_ptr<http::Client> client_;  // of the last probe, if that was answered
};

}  // namespace rusternetes::api_proxy
