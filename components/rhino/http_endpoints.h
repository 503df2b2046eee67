#pragma once
// What etcd answers over HTTP beside gRPC: /health, /livez, /readyz, /version, /metrics, with its bodies and
// its rules against foreign pages (CORS) and foreign names (DNS rebinding).

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"
#include "rhino/services.h"

namespace rusternetes::rhino {

// The store's own figures; what cannot be told is negative and left out.
struct StoreFigures {
  std::int64_t revision = -1, compact_revision = -1, keys = -1;
  std::int64_t size_bytes = -1, used_bytes = -1, quota_bytes = -1;
};

class HttpEndpoints {
 public:
  struct Options {
    std::function<Services::Health(const std::vector<std::string>& excluded_alarms)> health;
    std::function<Services::Counters()> counters;
    std::function<StoreFigures()> figures;
    std::uint64_t member_id = 0;
    std::set<std::string> cors, host_whitelist;  // "*" or nothing: all
  };
  explicit HttpEndpoints(Options options) : options_(std::move(options)) {}

  // Handlers of http::Server. On --listen-metrics-urls there is no /version, and no rules.
  Task<> serve_client(std::shared_ptr<http::Exchange> exchange);
  Task<> serve_metrics(std::shared_ptr<http::Exchange> exchange);

  struct Answer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8", body;
    std::vector<std::pair<std::string, std::string>> headers;
  };
  Answer answer(const http::RequestHead& request, bool is_tls, bool is_metrics_url);
  std::string metrics() const;

 private:
  Task<> serve(std::shared_ptr<http::Exchange> exchange, bool is_metrics_url);
  Answer health(std::string_view query);
  Answer checks(std::string_view path, std::string_view query);
  bool add_access(const http::RequestHead& request, bool is_tls, Answer& answer) const;

  Options options_;
  mutable std::atomic<std::int64_t> health_success_{0}, health_failures_{0};
};

// The process's own, from /proc.
std::string process_metrics();

}  // namespace rusternetes::rhino
