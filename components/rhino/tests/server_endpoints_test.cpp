// The answers over HTTP, as etcd 3.6 gives them.

#include <catch2/catch.hpp>

#include "rhino/http_endpoints.h"

using namespace rusternetes;
using namespace rusternetes::rhino;

namespace {

struct Endpoints {
  Endpoints() : Endpoints(HttpEndpoints::Options{}) {}
  explicit Endpoints(HttpEndpoints::Options options) : endpoints(fill(std::move(options))) {}
  HttpEndpoints::Options fill(HttpEndpoints::Options options) {
    options.health = [this](const std::vector<std::string>& excluded) {
      for (const auto& each : excluded)
        if (reason == "ALARM " + each) return Services::Health{};
      return reason.empty() ? Services::Health{} : Services::Health{false, reason};
    };
    options.counters = [] {
      Services::Counters counters;
      counters.puts = 41;
      counters.watchers = 3;
      return counters;
    };
    options.figures = [this] { return figures; };
    options.member_id = 0xabc;
    return options;
  }
  HttpEndpoints::Answer get(const std::string& target, const std::string& method = "GET",
                            bool is_metrics_url = false) {
    http::RequestHead head;
    head.method = method;
    head.target = target;
    head.authority = authority;
    if (!origin.empty()) head.headers.add("origin", origin);
    return endpoints.answer(head, is_tls, is_metrics_url);
  }
  std::string reason, authority = "localhost:2379", origin;
  bool is_tls = false;
  StoreFigures figures;
  HttpEndpoints endpoints;
};

std::string header(const HttpEndpoints::Answer& answer, std::string_view name) {
  for (const auto& [each, value] : answer.headers)
    if (each == name) return value;
  return "";
}

}  // namespace

TEST_CASE("/health tells an alarm unless it is excluded") {
  Endpoints endpoints;
  CHECK(endpoints.get("/health").body == R"({"health":"true","reason":""})");
  endpoints.reason = "ALARM NOSPACE";
  const auto bad = endpoints.get("/health?serializable=true");
  CHECK(bad.status == 503);
  CHECK(bad.body == "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
  CHECK(endpoints.get("/health?exclude=NOSPACE").status == 200);
  CHECK(endpoints.get("/health?exclude=CORRUPT&exclude=NOSPACE").status == 200);
  CHECK(endpoints.get("/health?exclude=CORRUPT").status == 503);
  const auto metrics = endpoints.get("/metrics").body;
  CHECK(metrics.find("\netcd_server_health_success 3\n") != std::string::npos);
  CHECK(metrics.find("\netcd_server_health_failures 2\n") != std::string::npos);
}

TEST_CASE("/livez and /readyz answer ok, and in detail when asked or when something fails") {
  Endpoints endpoints;
  CHECK(endpoints.get("/livez").body == "ok\n");
  CHECK(endpoints.get("/livez?verbose").body == "[+]serializable_read ok\nok\n");
  CHECK(endpoints.get("/readyz?verbose").body ==
        "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n");
  CHECK(endpoints.get("/readyz/data_corruption").body == "ok\n");
  CHECK(endpoints.get("/readyz/nonsense").status == 404);
  CHECK(endpoints.get("/readyz?verbose&exclude=non_learner").body.find("non_learner") == std::string::npos);
  endpoints.reason = "ALARM NOSPACE";  // clients can still read
  CHECK(endpoints.get("/readyz").status == 200);
  endpoints.reason = "ALARM CORRUPT";
  CHECK(endpoints.get("/livez").status == 200);
  const auto corrupt = endpoints.get("/readyz");
  CHECK(corrupt.status == 503);
  CHECK(corrupt.body.find("[-]data_corruption failed: alarm activated: CORRUPT\n") != std::string::npos);
  CHECK(endpoints.get("/readyz?exclude=data_corruption").status == 200);
  endpoints.reason = "RANGE ERROR:disk";
  CHECK(endpoints.get("/livez").status == 503);
  CHECK(endpoints.get("/readyz/linearizable_read").body ==
        "[-]linearizable_read failed: RANGE ERROR:disk\n\n");
}

TEST_CASE("/version tells which etcd is kept to; unknown paths and methods are refused as net/http does") {
  Endpoints endpoints;
  const auto version = endpoints.get("/version");
  CHECK(version.content_type == "application/json");
  CHECK(version.body.find(R"({"etcdserver":"3.6.)") == 0);
  CHECK(version.body.find(R"("etcdcluster":"3.6.0","storage":"3.6.0"})") != std::string::npos);
  CHECK(endpoints.get("/v2/keys").status == 404);
  CHECK(endpoints.get("/version", "GET", true).status == 404);
  for (const auto* path : {"/health", "/livez", "/readyz", "/version"}) {
    const auto refused = endpoints.get(path, "POST");
    CHECK(refused.status == 405);
    CHECK(refused.body == "Method Not Allowed\n");
    CHECK(header(refused, "allow") == "GET");
  }
}

TEST_CASE("pages of other origins and requests to other names are let in as the flags say") {
  Endpoints open;
  CHECK(header(open.get("/health"), "access-control-allow-origin") == "*");
  CHECK(open.get("/health", "OPTIONS").status == 200);

  HttpEndpoints::Options options;
  options.cors = {"https://good.example"};
  options.host_whitelist = {"localhost"};
  Endpoints closed(options);
  closed.origin = "https://good.example";
  CHECK(header(closed.get("/health"), "access-control-allow-origin") == "https://good.example");
  closed.origin = "https://evil.example";
  CHECK(header(closed.get("/health"), "access-control-allow-origin") == "");
  closed.authority = "evil.example:2379";
  CHECK(closed.get("/health").status == 421);
  CHECK(closed.get("/health", "GET", true).status == 200);  // --listen-metrics-urls has no such rule
  closed.is_tls = true;
  CHECK(closed.get("/health").status == 200);
}

TEST_CASE("/metrics has etcd's names for what is known, and nothing for what is not") {
  Endpoints endpoints;
  endpoints.figures.revision = 7;
  endpoints.figures.size_bytes = 3'000'000'000;
  endpoints.figures.keys = 5;
  const auto answer = endpoints.get("/metrics");
  CHECK(answer.content_type == "text/plain; version=0.0.4; charset=utf-8");
  for (const auto* line :
       {"etcd_server_has_leader 1", "etcd_server_is_leader 1", "etcd_debugging_mvcc_current_revision 7",
        "etcd_debugging_mvcc_compact_revision -1", "etcd_mvcc_db_total_size_in_bytes 3000000000",
        "etcd_debugging_mvcc_keys_total 5", "etcd_mvcc_put_total 41", "etcd_debugging_mvcc_watcher_total 3",
        "etcd_server_id{server_id=\"abc\"} 1", "# TYPE etcd_mvcc_put_total counter"}) {
    INFO(line);
    CHECK(answer.body.find(std::string("\n") + line + "\n") != std::string::npos);
  }
  CHECK(answer.body.find("etcd_mvcc_db_total_size_in_use_in_bytes") == std::string::npos);
  CHECK(answer.body.find("etcd_server_quota_backend_bytes") == std::string::npos);
  CHECK(answer.body.find("\nprocess_open_fds ") != std::string::npos);
  CHECK(answer.body.find("\nprocess_start_time_seconds ") != std::string::npos);
}
