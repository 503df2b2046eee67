#include "dns/status_server.h"

namespace rusternetes::dns {

namespace {
http::Server::Options server_options(asio::any_io_executor executor, http::Handler handler) {
  http::Server::Options options;
  options.name = "dns status";
  options.executors = {std::move(executor)};
  options.handler = std::move(handler);
  options.limits.connections = 100;
  return options;
}
}  // namespace

StatusServer::StatusServer(asio::any_io_executor executor, const DnsServer& dns)
    : dns_(dns),
      server_(server_options(std::move(executor), [this](std::shared_ptr<http::Exchange> exchange) {
        return handle(std::move(exchange));
      })) {}

Result<std::unique_ptr<StatusServer>> StatusServer::make(asio::any_io_executor executor, const DnsServer& dns,
                                                         std::vector<Socket> sockets) {
  std::unique_ptr<StatusServer> made(new StatusServer(std::move(executor), dns));
  for (auto& socket : sockets) RN_CHECK(made->server_.adopt_listener(socket.release(), std::nullopt));
  return made;
}

void StatusServer::start() { server_.start(); }
Task<> StatusServer::stop() { co_await server_.stop(std::chrono::milliseconds(500)); }

Task<> StatusServer::handle(std::shared_ptr<http::Exchange> exchange) {
  const std::string target(exchange->head().target);
  const std::string path = target.substr(0, target.find('?'));
  http::ResponseHead head;
  head.headers.add("content-type", "text/plain; charset=utf-8");
  std::string text = "OK";
  if (exchange->head().method != "GET" && exchange->head().method != "HEAD") {
    head.status = 405;
    text = "Method Not Allowed\n";
  } else if (path == "/ready" || path == "/readyz") {
    if (!dns_.is_ready()) {
      head.status = 503;
      text = "kubernetes";  // the part that is not ready, as CoreDNS names it
    }
  } else if (path == "/metrics") {
    text = dns_.metrics();
  } else if (path != "/health" && path != "/healthz" && path != "/livez") {
    head.status = 404;
    text = "404 page not found\n";
  }
  std::vector<http::Slice> slices;
  slices.push_back(http::Slice::own(std::move(text)));
  auto sent = co_await exchange->respond(std::move(head), std::move(slices));
  (void)sent;  // the asker has gone
}

}  // namespace rusternetes::dns
