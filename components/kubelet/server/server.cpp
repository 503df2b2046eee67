#include "kubelet/server/server.h"

#include <fmt/format.h>

#include "apimachinery/json.h"
#include "base/log.h"
#include "kubelet/node/pod_network.h"

namespace rusternetes::kubelet {

namespace {

std::string decode(std::string_view text, bool plus_is_space) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

Target parse_target(std::string_view target) {
  Target out;
  const auto question = target.find('?');
  const auto path = target.substr(0, question);
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (end > at) out.parts.push_back(decode(path.substr(at, end - at), false));
    at = end + 1;
  }
  const auto query = question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  for (std::size_t at = 0; at < query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const auto pair = query.substr(at, end - at);
    const auto equals = std::min(pair.find('='), pair.size());
    out.pairs.emplace_back(decode(pair.substr(0, equals), true), equals < pair.size() ? decode(pair.substr(equals + 1), true) : "");
    out.query[out.pairs.back().first] = out.pairs.back().second;
    at = end + 1;
  }
  return out;
}

KubeletServer::KubeletServer(Parts parts)
    : parts_(std::move(parts)),
      auth_(parts_.client, *parts_.options.clock, parts_.options.node_name),
      metrics_({parts_.options, parts_.runtime, parts_.files, parts_.list_pods, UsageReader(parts_.options.cgroup_mount)}),
      streams_(parts_.client.executor(), parts_.runtime, parts_.find_pod) {}
KubeletServer::~KubeletServer() = default;

Result<void> KubeletServer::start(int socket) {
  port_ = port_of(socket);
  http::Server::Options options;
  options.name = "kubelet";
  options.executors = {parts_.client.executor()};
  options.handler = [this](std::shared_ptr<http::Exchange> exchange) { return handle(std::move(exchange)); };
  // As Kubernetes' kubelet, for a client that is slow to take the answer to a request; streams have their own time of
  // idleness.
  options.limits.write_timeout = std::chrono::hours(4);
  server_ = std::make_unique<http::Server>(std::move(options));
  http::ServerTls tls{parts_.options.serving_certificate_pem, parts_.options.serving_key_pem, parts_.options.client_ca_pem};
  RN_CHECK(server_->adopt_listener(socket, std::move(tls)));
  server_->start();
  return {};
}

Task<> KubeletServer::stop() {
  for (auto& [id, follower] : followers_) follower->finish();
  co_await streams_.stop();
  if (server_) co_await server_->stop(std::chrono::milliseconds(500));
}

void KubeletServer::container_ended(const std::string& id) {
  const auto range = followers_.equal_range(id);
  for (auto it = range.first; it != range.second; ++it) it->second->finish();
}

Task<> KubeletServer::respond(std::shared_ptr<http::Exchange> exchange, int status, std::string text, std::string type) {
  http::ResponseHead head;
  head.status = status;
  head.headers.set("content-type", std::move(type));
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(std::move(text)));
  auto sent = co_await exchange->respond(std::move(head), std::move(body));
  if (!sent) log::debug("kubelet", "an answer was not taken: {}", sent.error().message);
}

Task<> KubeletServer::handle(std::shared_ptr<http::Exchange> exchange) {
  const auto mark = std::make_shared<ServerMetrics::Mark>(metrics_.server(), exchange->head().method, exchange->head().target);
  auto caller = co_await auth_.check(exchange->peer(), exchange->head());
  if (!caller) {
    const auto& error = caller.error();
    co_await respond(exchange, error.code, error.code == 401 ? "Unauthorized" : error.message);
    co_return;
  }
  const Target target = parse_target(exchange->head().target);
  const auto& parts = target.parts;
  if (StreamServer::serves(parts)) {
    co_await streams_.handle(exchange, parts, target.pairs, mark);
  } else if (exchange->head().method != "GET" && exchange->head().method != "HEAD") {
    co_await respond(exchange, 405, "Method Not Allowed");
  } else if (!parts.empty() && parts[0] == "healthz") {
    const std::string health = parts_.health();
    co_await respond(exchange, health == "ok" ? 200 : 500, health);
  } else if (parts.size() == 4 && parts[0] == "containerLogs") {
    co_await serve_logs(exchange, parts[1], parts[2], parts[3], target.query);
  } else if (MetricsEndpoints::serves(parts)) {
    co_await serve_metrics(exchange, parts, target.query);
  } else if (parts.size() == 1 && parts[0] == "pods") {
    co_await serve_pods(exchange);
  } else {
    co_await respond(exchange, 404, "404 page not found");
  }
}

Task<> KubeletServer::serve_metrics(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                                    std::map<std::string, std::string> query) {
  auto answer = co_await metrics_.answer(std::move(path), std::move(query));
  co_await respond(exchange, answer.status, std::move(answer.body), std::move(answer.type));
}

Task<> KubeletServer::serve_pods(std::shared_ptr<http::Exchange> exchange) {
  std::string text = R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[)";
  bool is_first = true;
  for (const auto& pod : parts_.list_pods()) {
    if (!is_first) text += ',';
    is_first = false;
    apimachinery::encode_json(text, &pod.root(), pod.type(), {});
  }
  text += "]}";
  co_await respond(exchange, 200, std::move(text), "application/json");
}

}  // namespace rusternetes::kubelet
