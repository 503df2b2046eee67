#include "api-proxy/health.h"

namespace rusternetes::api_proxy {

namespace {
http::Server::Options server_options(asio::any_io_executor executor, http::Handler handler) {
  http::Server::Options options;
  options.name = "api-proxy health";
  options.executors = {std::move(executor)};
  options.handler = std::move(handler);
  options.limits.connections = 100;
  return options;
}
}  // namespace

Health::Health(asio::any_io_executor executor, std::function<bool()> is_ready)
    : is_ready_(std::move(is_ready)),
      server_(server_options(std::move(executor), [this](std::shared_ptr<http::Exchange> exchange) {
        return handle(std::move(exchange));
      })) {}

Result<std::uint16_t> Health::listen(const HostPort& where) {
  return server_.listen_plain(where.host, where.port);
}

Task<> Health::stop() { co_await server_.stop(std::chrono::milliseconds(200)); }

Task<> Health::handle(std::shared_ptr<http::Exchange> exchange) {
  const std::string target(exchange->head().target);
  const std::string path = target.substr(0, target.find('?'));
  http::ResponseHead head;
  head.headers.add("content-type", "text/plain; charset=utf-8");
  std::string text = "ok";
  if (path != "/healthz" && path != "/livez" && path != "/readyz") {
    head.status = 404;
    text = "404 page not found\n";
  } else if (exchange->head().method != "GET" && exchange->head().method != "HEAD") {
    head.status = 405;
    text = "Method Not Allowed\n";
  } else if (path == "/readyz" && !is_ready_()) {
    head.status = 500;
    text = "no server is ready\n";
  }
  std::vector<http::Slice> slices;
  slices.push_back(http::Slice::own(std::move(text)));
  auto sent = co_await exchange->respond(std::move(head), std::move(slices));
  (void)sent;  // the asker has gone
}

}  // namespace rusternetes::api_proxy
