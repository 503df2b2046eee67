#include "api-proxy/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace rusternetes::api_proxy {

using std::chrono::steady_clock;

Backend::Backend(asio::any_io_executor executor, HostPort where, TlsSource tls,
                 std::chrono::milliseconds probe_timeout)
    : executor_(std::move(executor)),
      where_(std::move(where)),
      tls_(std::move(tls)),
      probe_timeout_(probe_timeout) {
  boost::system::error_code error;
  const auto literal = asio::ip::make_address(where_.host, error);
  if (error) return;
  is_literal_ = true;
  endpoints_.emplace_back(literal, where_.port);
}

Result<std::unique_ptr<Backend>> Backend::make(asio::any_io_executor executor, HostPort where, TlsSource tls,
                                               std::chrono::milliseconds probe_timeout) {
  std::unique_ptr<Backend> made(
      new Backend(std::move(executor), std::move(where), std::move(tls), probe_timeout));
  RN_CHECK(made->make_client(Endpoint(asio::ip::address_v4::loopback(), made->where_.port)));
  return made;
}

Task<bool> Backend::resolve() {
  asio::ip::tcp::resolver resolver(executor_);
  boost::system::error_code error;
  const auto found = co_await resolver.async_resolve(where_.host, std::to_string(where_.port),
                                                     asio::ip::resolver_base::numeric_service,
                                                     asio::redirect_error(asio::use_awaitable, error));
  if (error || found.empty()) co_return false;
  std::vector<Endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  // The order changes from answer to answer; a probe's connection stays while its address does.
  if (!std::is_permutation(endpoints.begin(), endpoints.end(), endpoints_.begin(), endpoints_.end())) {
    endpoints_ = std::move(endpoints);
    forget_connection();
  }
  co_return true;
}

Result<std::shared_ptr<http::Client>> Backend::make_client(const Endpoint& endpoint) const {
  http::ClientOptions options;
  options.connect_timeout = options.header_timeout = probe_timeout_;
  options.max_idle_connections = 1;
  options.allow_http2 = false;  // one request at a time
  const HostPort address{endpoint.address().to_string(), endpoint.port()};
  http::ClientTls tls = tls_();
  tls.server_name = where_.host;  // whichever of its addresses is asked
  RN_TRY(auto client,
         http::Client::create(executor_, {"https://" + address.text(), std::move(tls)}, options));
  return std::shared_ptr<http::Client>(std::move(client));
}

Task<ProbeResult> Backend::probe() {
  const auto deadline = steady_clock::now() + probe_timeout_;
  ProbeResult result;
  if (client_) {
    auto client = std::exchange(client_, nullptr);
    result = co_await ask(client, deadline);
    if (result.probe != Balancer::Probe::failed && steady_clock::now() < deadline)
      client_ = std::move(client);
    co_return result;
  }
  result.message = fmt::format("{} has no address", where_.host);
  const auto endpoints = endpoints_;
  for (const auto& endpoint : endpoints) {
    auto made = make_client(endpoint);
    if (!made) co_return ProbeResult{Balancer::Probe::failed, made.error().message};
    result = co_await ask(*made, deadline);
    const bool is_in_time = steady_clock::now() < deadline;
    if (result.probe != Balancer::Probe::failed) {
      // Behind its deadline the timer may have closed it.
      if (is_in_time) client_ = *made;
      break;
    }
    if (!is_in_time) break;
  }
  co_return result;
}

Task<ProbeResult> Backend::ask(std::shared_ptr<http::Client> client,
                               steady_clock::time_point deadline) const {
  asio::steady_timer limit(executor_, deadline);
  limit.async_wait([client](const boost::system::error_code& error) {
    if (!error) client->close();
  });
  const auto failed = [&](const Status& status) {
    const bool is_late = steady_clock::now() >= deadline;
    return ProbeResult{Balancer::Probe::failed,
                       is_late ? fmt::format("no answer in {} ms", probe_timeout_.count()) : status.message};
  };
  http::ClientRequest request;
  request.target = "/readyz";
  request.headers.add("user-agent", "api-proxy");
  auto sent = co_await client->send(std::move(request));
  if (!sent) co_return failed(sent.error());
  const int status = (*sent)->head().status;
  auto body = co_await (*sent)->read_all(64 << 10);
  if (!body) co_return failed(body.error());
  if (status == 200) co_return ProbeResult{Balancer::Probe::ready, {}};
  co_return ProbeResult{Balancer::Probe::not_ready, fmt::format("its /readyz says {}", status)};
}

}  // namespace rusternetes::api_proxy
