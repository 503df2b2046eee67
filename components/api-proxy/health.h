#pragma once
// /healthz and /readyz of the proxy itself, in plain text: for who watches over it on this host.

#include <functional>

#include "api-proxy/host_port.h"
#include "base/task.h"
#include "http/server.h"

namespace rusternetes::api_proxy {

class Health {
 public:
  // On the proxy's executor: an answer also says that its loop turns.
  Health(asio::any_io_executor executor, std::function<bool()> is_ready);
  // The port; of 0, the one that was free.
  Result<std::uint16_t> listen(const HostPort& where);
  void start() { server_.start(); }
  Task<> stop();

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  std::function<bool()> is_ready_;
  http::Server server_;
};

}  // namespace rusternetes::api_proxy
