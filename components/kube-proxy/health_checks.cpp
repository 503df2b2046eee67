#include "kube-proxy/health_checks.h"

#include <fmt/format.h>

namespace rusternetes::kube_proxy {

HealthChecks::HealthChecks(asio::any_io_executor executor, network::NetworkNamespace where,
                           std::function<bool()> is_healthy)
    : executor_(std::move(executor)), where_(std::move(where)), is_healthy_(std::move(is_healthy)) {}
HealthChecks::~HealthChecks() = default;

Answer HealthChecks::answer(const std::string& service) const {
  const auto found = ports_.find(service);
  const int count = found == ports_.end() ? 0 : found->second.check.local_endpoints;
  const bool is_healthy = is_healthy_();
  const auto slash = service.find('/');
  Answer out;
  out.status = count > 0 && is_healthy ? 200 : 503;
  out.content_type = "application/json";
  out.headers.add("x-load-balancing-endpoint-weight", std::to_string(count));
  out.body = fmt::format(
      "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": "
      "{},\n\t\"serviceProxyHealthy\": "
      "{}\n}}",
      service.substr(0, slash), service.substr(slash + 1), count, is_healthy);
  return out;
}

Task<> HealthChecks::close(std::string service) {
  const auto found = ports_.find(service);
  for (auto& server : found->second.servers) co_await server->stop();
  ports_.erase(found);
}

Result<void> HealthChecks::open(const std::string& service, Port& port) {
  for (const auto& address : port.addresses) {
    auto server = std::make_unique<PlainServer>(executor_, "service-health",
                                                [this, service](std::string) { return answer(service); });
    RN_TRY([[maybe_unused]] const auto bound, server->start(where_, address, port.check.port));
    port.servers.push_back(std::move(server));
  }
  return {};
}

Task<> HealthChecks::set(std::map<std::string, HealthCheck> wanted, std::vector<std::string> addresses,
                         std::function<void(const std::string&, const std::string&)> failed) {
  std::vector<std::string> closing;
  for (const auto& [service, port] : ports_) {
    const auto still = wanted.find(service);
    if (still == wanted.end() || still->second.port != port.check.port || addresses != port.addresses)
      closing.push_back(service);
  }
  for (const auto& service : closing) co_await close(service);
  for (const auto& [service, check] : wanted) {
    const auto [at, is_new] = ports_.try_emplace(service);
    at->second.check = check;
    if (!is_new) continue;
    at->second.addresses = addresses;
    if (auto opened = open(service, at->second); !opened) {
      co_await close(service);
      failed(service, opened.error().message);
    }
  }
}

Task<> HealthChecks::stop() {
  while (!ports_.empty()) {
    std::string service = ports_.begin()->first;
    co_await close(std::move(service));
  }
}

}  // namespace rusternetes::kube_proxy
