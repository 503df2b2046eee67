#include "program/health.h"

#include <fmt/format.h>
#include <unistd.h>

#include "certs/certificate.h"
#include "certs/file.h"

namespace rusternetes::program {

namespace {

http::Server::Options server_options(asio::any_io_executor executor, http::Handler handler) {
  http::Server::Options options;
  options.name = "health";
  options.executors = {std::move(executor)};
  options.handler = std::move(handler);
  options.limits.connections = 100;
  return options;
}

Result<http::ServerTls> tls_of(const HealthOptions& options) {
  http::ServerTls tls;
  if (options.certificate_file.empty() != options.key_file.empty())
    return internal_error("--tls-cert-file and --tls-private-key-file go together");
  if (!options.certificate_file.empty()) {
    RN_TRY(tls.certificate_chain_pem, certs::read_text(options.certificate_file));
    RN_TRY(tls.private_key_pem, certs::read_text(options.key_file));
    return tls;
  }
  const auto now = Clock::system().now();
  RN_TRY(const auto authority, certs::make_authority({.common_name = "health-ca"}, now));
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  certs::LeafRequest request;
  request.common_name = host;
  request.dns_names = {"localhost", host};
  request.ip_addresses = {"127.0.0.1", "::1"};
  request.is_server = true;
  RN_TRY(const auto leaf, certs::issue(authority, request, now));
  tls.certificate_chain_pem = leaf.certificate_pem + authority.certificate_pem;
  tls.private_key_pem = leaf.key_pem;
  return tls;
}

}  // namespace

HealthServer::HealthServer(asio::any_io_executor executor, std::vector<HealthCheck> checks)
    : checks_(std::move(checks)),
      server_(server_options(std::move(executor), [this](std::shared_ptr<http::Exchange> exchange) {
        return handle(std::move(exchange));
      })) {}

HealthServer::~HealthServer() = default;

Result<std::uint16_t> HealthServer::start(const HealthOptions& options) {
  RN_TRY(const auto tls, tls_of(options));
  RN_TRY(const std::uint16_t port, server_.listen_tls(options.bind_address, options.port, tls));
  server_.start();
  return port;
}

Task<> HealthServer::stop() { co_await server_.stop(std::chrono::milliseconds(500)); }

Task<> HealthServer::handle(std::shared_ptr<http::Exchange> exchange) {
  const std::string target(exchange->head().target);
  const auto question = target.find('?');
  const std::string path = target.substr(0, question);
  const bool is_verbose = question != target.npos && target.find("verbose", question) != target.npos;
  http::ResponseHead head;
  head.headers.add("content-type", "text/plain; charset=utf-8");
  head.headers.add("x-content-type-options", "nosniff");
  std::string text;
  if (path != "/healthz" && path != "/livez" && path != "/readyz") {
    head.status = 404;
    text = "404 page not found\n";
  } else if (exchange->head().method != "GET" && exchange->head().method != "HEAD") {
    head.status = 405;
    text = "Method Not Allowed\n";
  } else {
    bool is_good = true;
    std::string lines = "[+]ping ok\n";
    for (const auto& each : checks_) {
      const auto checked = each.check();
      is_good &= checked.has_value();
      lines += checked ? fmt::format("[+]{} ok\n", each.name)
                       : fmt::format("[-]{} failed: {}\n", each.name, checked.error().message);
    }
    const std::string_view word = std::string_view(path).substr(1);
    if (!is_good) head.status = 500;
    text = !is_good     ? fmt::format("{}{} check failed\n", lines, word)
           : is_verbose ? fmt::format("{}{} check passed\n", lines, word)
                        : "ok";
  }
  std::vector<http::Slice> slices;
  slices.push_back(http::Slice::own(std::move(text)));
  auto sent = co_await exchange->respond(std::move(head), std::move(slices));
  (void)sent;  // the asker has gone
}

}  // namespace rusternetes::program
