#pragma once
// Small answers over plain HTTP on an address of a node's namespace: /healthz, /metrics, ports of load
// balancers' checks.

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/task.h"
#include "http/server.h"
#include "network/namespace.h"

namespace rusternetes::kube_proxy {

struct Answer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  http::Headers headers;
};

class PlainServer {
 public:
  // `answer` runs on `executor`; `path` is without its query. GET and HEAD only.
  PlainServer(asio::any_io_executor executor, std::string name,
              std::function<Answer(std::string path)> answer);
  ~PlainServer();  // after stop(), once started
  // `address` is numeric, of either family ("::" takes both). Port 0: any free one. Returns the port.
  Result<std::uint16_t> start(const network::NetworkNamespace& where, const std::string& address,
                              std::uint16_t port);
  Task<> stop();

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  std::function<Answer(std::string)> answer_;
  http::Server server_;
};

}  // namespace rusternetes::kube_proxy
