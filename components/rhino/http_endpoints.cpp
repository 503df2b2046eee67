#include "rhino/http_endpoints.h"

#include <fmt/format.h>

#include <algorithm>

#include "rhino/flags_values.h"

namespace rusternetes::rhino {
namespace {

using Answer = HttpEndpoints::Answer;

// net/http's Error().
Answer plain_error(int status, std::string text) {
  Answer answer;
  answer.status = status;
  answer.body = std::move(text) + "\n";
  answer.headers.emplace_back("x-content-type-options", "nosniff");
  return answer;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto byte = parse_go_uint("0x" + std::string(text.substr(i + 1, 2)));
      if (byte) {
        out += static_cast<char>(*byte);
        i += 2;
        continue;
      }
    }
    out += text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

// All values of a key of the query.
std::vector<std::string> query_values(std::string_view query, std::string_view key) {
  std::vector<std::string> values;
  for (const auto& part : split(query, '&')) {
    const auto equals = part.find('=');
    if (percent_decoded(std::string_view(part).substr(0, equals)) != key) continue;
    const auto begin = equals == std::string::npos ? part.size() : equals + 1;
    values.push_back(percent_decoded(std::string_view(part).substr(begin)));
  }
  return values;
}

std::string host_of(const std::string& authority) {
  const auto parts = split_host_port(authority);
  return parts ? parts->host : authority;
}

bool is_open(const std::set<std::string>& names, const std::string& name) {
  return names.empty() || names.contains("*") || names.contains(name);
}

std::string json_escaped(std::string_view text) {
  const auto with_quotes = quoted(text);
  return with_quotes.substr(1, with_quotes.size() - 2);
}

}  // namespace

Task<> HttpEndpoints::serve_client(std::shared_ptr<http::Exchange> exchange) {
  return serve(std::move(exchange), false);
}
Task<> HttpEndpoints::serve_metrics(std::shared_ptr<http::Exchange> exchange) {
  return serve(std::move(exchange), true);
}

Task<> HttpEndpoints::serve(std::shared_ptr<http::Exchange> exchange, bool is_metrics_url) {
  auto result = answer(exchange->head(), exchange->peer().is_tls, is_metrics_url);
  http::ResponseHead head;
  head.status = result.status;
  for (auto& [name, value] : result.headers) head.headers.add(std::move(name), std::move(value));
  head.headers.add("content-type", result.content_type);
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(std::move(result.body)));
  const auto sent = co_await exchange->respond(std::move(head), std::move(body));
  (void)sent;  // the asker has gone
}

// False: `answer` is all there is to say.
bool HttpEndpoints::add_access(const http::RequestHead& request, bool is_tls, Answer& answer) const {
  const std::string host = host_of(request.authority);
  if (!is_tls && !is_open(options_.host_whitelist, host)) {
    const auto said = fmt::format(
        "\nThe name {} in the Host header is not among those that --host-whitelist lists.\n"
        "Add it there, or use TLS, over which any name is taken.\n",
        quoted(host));
    answer = plain_error(421, said);
    return false;
  }
  const auto origin = request.headers.get("origin").value_or("");
  if (is_open(options_.cors, std::string(origin))) {
    const bool is_any = options_.cors.empty() || options_.cors.contains("*");
    answer.headers.emplace_back("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE");
    answer.headers.emplace_back("access-control-allow-origin", is_any ? "*" : std::string(origin));
    answer.headers.emplace_back("access-control-allow-headers", "accept, content-type, authorization");
  }
  return request.method != "OPTIONS";
}

Answer HttpEndpoints::answer(const http::RequestHead& request, bool is_tls, bool is_metrics_url) {
  Answer access;
  if (!is_metrics_url && !add_access(request, is_tls, access)) return access;
  const std::string_view target = request.target;
  const auto mark = std::min(target.find('?'), target.size());
  const auto path = target.substr(0, mark);
  const auto query = target.substr(std::min(mark + 1, target.size()));
  const bool is_check = path == "/livez" || path == "/readyz" || path.starts_with("/livez/") ||
                        path.starts_with("/readyz/");
  const bool is_version = path == "/version" && !is_metrics_url;
  Answer result;
  if ((path == "/health" || is_version || is_check) && request.method != "GET") {
    result = plain_error(405, "Method Not Allowed");
    result.headers.emplace_back("allow", "GET");
  } else if (path == "/health") {
    result = health(query);
  } else if (is_check) {
    result = checks(path, query);
  } else if (is_version) {
    result.content_type = "application/json";
    result.body = fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})", etcd_version,
                              etcd_cluster_version, etcd_cluster_version);
  } else if (path == "/metrics") {
    result.content_type = "text/plain; version=0.0.4; charset=utf-8";
    result.body = metrics();
  } else {
    result = plain_error(404, "404 page not found");
  }
  result.headers.insert(result.headers.begin(), access.headers.begin(), access.headers.end());
  return result;
}

Answer HttpEndpoints::health(std::string_view query) {
  const auto state = options_.health(query_values(query, "exclude"));
  const auto body =
      fmt::format(R"({{"health":"{}","reason":"{}"}})", state.is_healthy, json_escaped(state.reason));
  if (!state.is_healthy) {
    ++health_failures_;
    return plain_error(503, body);
  }
  ++health_success_;
  Answer answer;
  answer.body = body;
  return answer;
}

// /livez asks whether the store can be read, /readyz also whether nothing is known to be damaged. What else
// etcd checks there (a leader, not being a learner) holds in a cluster of one.
Answer HttpEndpoints::checks(std::string_view path, std::string_view query) {
  const bool is_ready = path.starts_with("/readyz");
  std::vector<std::string_view> names{"serializable_read"};
  if (is_ready) names = {"data_corruption", "serializable_read", "linearizable_read", "non_learner"};
  const auto single = path.substr(is_ready ? 7 : 6);
  if (!single.empty()) {
    const auto found = std::find(names.begin(), names.end(), single.substr(1));
    if (found == names.end()) return plain_error(404, "404 page not found");
    names = {*found};
  }
  const auto excluded = single.empty() ? query_values(query, "exclude") : std::vector<std::string>();
  const auto reads = options_.health({"NOSPACE", "CORRUPT"}), undamaged = options_.health({"NOSPACE"});
  std::string report;
  bool is_good = true;
  for (const auto name : names) {
    if (std::find(excluded.begin(), excluded.end(), name) != excluded.end()) continue;
    std::string problem;
    if (name == "data_corruption" && undamaged.reason == "ALARM CORRUPT")
      problem = "alarm activated: CORRUPT";
    if (name.ends_with("_read") && !reads.is_healthy) problem = reads.reason;
    report += problem.empty() ? fmt::format("[+]{} ok\n", name)
                              : fmt::format("[-]{} failed: {}\n", name, problem);
    is_good = is_good && problem.empty();
  }
  if (!is_good) return plain_error(503, report);
  Answer answer;
  answer.headers.emplace_back("x-content-type-options", "nosniff");
  answer.body = (query_values(query, "verbose").empty() ? "" : report) + "ok\n";
  return answer;
}

}  // namespace rusternetes::rhino
