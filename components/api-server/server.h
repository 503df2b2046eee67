#pragma once
// The pipeline (invariant 3) from a connection's exchange to its response: authenticate → limit → authorize → decode →
// default → convert → admission and strategy (Resources) → store → encode. Audit and fairness have their places between
// authenticate and authorize.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "api-server/authorizer.h"
#include "api-server/discovery.h"
#include "api-server/encode.h"
#include "api-server/proxy/long_running.h"
#include "api-server/resources.h"
#include "api-server/watch_source.h"
#include "base/release.h"
#include "http/server.h"

namespace rusternetes::api_server {

class RequestMetrics;

struct ServerOptions {
  std::size_t body_limit_bytes = 3u << 20;
  std::size_t max_requests_inflight = 400;
  std::size_t max_mutating_requests_inflight = 200;
  std::chrono::milliseconds request_timeout{60'000};  // of what is not long-running
  std::chrono::seconds min_watch_timeout{1800};
  std::string git_version{kubernetes_release};
  std::string server_address;  // "10.0.0.1:6443", as discovery tells clients
  const Clock* clock = &Clock::system();
};

// Reads who makes a request: the certificate, the token, impersonation. The error is the response.
using Authenticate = std::function<Result<User>(const http::RequestHead&, const http::Peer&)>;

// A request for a path or subresource that is not an object's plain verb; writes its own response or an error.
struct HandlerContext {
  std::shared_ptr<http::Exchange> exchange;
  Call& call;
  Accepted accepted;
  int* code = nullptr;  // what the metrics count, where it is not 200; set by what answers by itself
};

class ApiServer {
 public:
  ApiServer(Resources& resources, const Authorizer& authorizer, Authenticate authenticate, ServerOptions options);
  ~ApiServer();

  // The handler for http::Server.
  Task<> handle(std::shared_ptr<http::Exchange> exchange);

  // A subresource with a kind of its own (binding, eviction, token, scale): gets the decoded object, gives the answer. Used
  // by connections and in-process clients alike. By "group/resource/subresource".
  using Action = std::function<Task<Result<Written>>(Call&, apimachinery::Value object)>;
  void add_action(std::string path, Action action) { actions_[std::move(path)] = std::move(action); }

  // Subresources that stream (pods/log, exec), with the connection in their hands.
  using Extension = std::function<Task<Result<void>>(HandlerContext)>;
  void add_extension(std::string path, Extension extension) { extensions_[std::move(path)] = std::move(extension); }
  // Paths outside of resources, such as "/openid/v1/jwks".
  void add_path(std::string path, Extension extension) { paths_[std::move(path)] = std::move(extension); }
  // A check of /readyz and, unless `only_ready`, /livez and /healthz.
  void add_health_check(std::string name, std::function<Result<void>()> check, bool only_ready = false);

  // After a change of the registry.
  void rebuild_discovery();
  // From here on /readyz fails, so that balancers look elsewhere; requests are still served.
  void begin_shutdown() { is_shutting_down_ = true; }
  // Watches end as they do when their time is over, and so does each new one: their clients go on elsewhere.
  void end_watches();
  const Authorizer& authorizer() const { return authorizer_; }
  Resources& resources() { return resources_; }
  std::string metrics() const;

 private:
  friend class InProcessAccess;
  Task<Result<void>> serve(std::shared_ptr<http::Exchange> exchange, Call& call, Accepted& accepted, int& code);
  Task<Result<void>> serve_resource(HandlerContext context);
  Task<Result<void>> serve_path(HandlerContext context);
  Task<Result<void>> serve_watch(HandlerContext context);
  Task<Result<void>> serve_write(HandlerContext context);
  Task<Result<void>> serve_action(HandlerContext context, const Action& action);
  Task<Result<void>> serve_delete(HandlerContext context);
  Task<Result<void>> send(HandlerContext context, int code, Encoded encoded, int retry_after_s = 0);
  Task<Result<void>> send_failure(HandlerContext context, Status failure);
  Task<Result<void>> health(HandlerContext context);
  Result<void> resolve_kind(Call& call) const;
  // Whether the caller may; sets call.authorize.
  Task<Result<void>> authorize(Call& call);
  Task<Result<void>> authorize_as(const Call& call, std::string verb);

  Resources& resources_;
  const Authorizer& authorizer_;
  Authenticate authenticate_;
  ServerOptions options_;
  std::map<std::string, Action, std::less<>> actions_;
  std::map<std::string, Extension, std::less<>> extensions_, paths_;
  struct HealthCheck {
    std::string name;
    std::function<Result<void>()> check;
    bool only_ready;
  };
  std::vector<HealthCheck> checks_;
  std::atomic<std::shared_ptr<const Discovery>> discovery_;
  std::atomic<std::size_t> inflight_{0}, mutating_inflight_{0};
  std::atomic<bool> is_shutting_down_{false};
  std::unique_ptr<RequestMetrics> metrics_;
  LongRunning long_running_;
  std::mutex watches_mutex_;
  std::set<WatchSource*> watches_;  // of HTTP
  bool are_watches_over_ = false;
};

// For a path that nothing serves: a plain page, as Kubernetes answers.
Status page_not_found();
// The body of a write as the kind's value: decoded, with defaults, without TypeMeta; issues become warnings or an error.
Result<apimachinery::Value> decode_body(Call& call, const apimachinery::Kind& kind, MediaType type, std::string_view body);
// The body of a DELETE, or its query parameters.
Result<DeleteOptions> decode_delete_options(Call& call, MediaType type, std::string_view body);

}  // namespace rusternetes::api_server
