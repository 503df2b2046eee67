#include "launcher/readiness.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/failure.h"
#include "launcher/ports/http_port.h"
#include "launcher/ports/process_port.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

// How long a try waits that meets a closed port, before the next one.
constexpr milliseconds retry_delay{20};
// A child that ended this often before it was ever ready will not be.
constexpr long hopeless_restarts = 4;

Result<HttpRequest> request_as(const StepContext& context, const char* leaf, std::string path) {
  HttpRequest request{.url = context.settings.server() + std::move(path)};
  RN_TRY(certs::KeyPair pair, certs::read_pair(context.paths.pki(), leaf));
  request.certificate_pem = std::move(pair.certificate_pem);
  request.key_pem = std::move(pair.key_pem);
  RN_TRY(request.authority_pem, certs::read_text(context.paths.pki() / "ca.crt"));
  return request;
}

Result<bool> is_api_ready(StepContext& context) {
  RN_TRY(HttpRequest request, request_as(context, "admin", "/readyz"));
  request.timeout = milliseconds(2000);
  const auto answer = context.environment.http.send(request);
  return answer && answer->status == 200;
}

std::string text_at(const json::value& value, const char* pointer) {
  boost::system::error_code error;
  const json::value* found = value.find_pointer(pointer, error);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

// RFC 3339 in UTC, with or without a fraction. The epoch for what is none.
SystemTime parse_time(const std::string& text) {
  std::tm parts{};
  int microseconds = 0;
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return {};
  if (*rest == '.') {
    int scale = 100'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, scale /= 10) microseconds += (*rest - '0') * scale;
  }
  return std::chrono::system_clock::from_time_t(::timegm(&parts)) + std::chrono::microseconds(microseconds);
}

enum class NodeSays { nothing, not_ready, ready, ready_perhaps_before };

// What the kubelet of the running process says of the node. A Ready from before its start, which the store
// still has, is nothing; heartbeats have whole seconds, so that within the second of the start they do not
// tell.
NodeSays read_node(const json::value& node, SystemTime started_at) {
  boost::system::error_code error;
  const json::value* conditions = node.find_pointer("/status/conditions", error);
  if (conditions == nullptr || !conditions->is_array()) return NodeSays::nothing;
  for (const json::value& one : conditions->get_array()) {
    if (text_at(one, "/type") != "Ready") continue;
    const SystemTime heartbeat = parse_time(text_at(one, "/lastHeartbeatTime"));
    const SystemTime second = std::chrono::floor<std::chrono::seconds>(started_at);
    if (heartbeat < second) return NodeSays::nothing;
    if (text_at(one, "/status") != "True") return NodeSays::not_ready;
    return heartbeat == second ? NodeSays::ready_perhaps_before : NodeSays::ready;
  }
  return NodeSays::nothing;
}

// Whether a line of a watch may show a Ready node: worth asking again.
bool shows_ready_node(std::string_view line, SystemTime started_at) {
  boost::system::error_code error;
  const json::value event = json::parse(json::string_view(line.data(), line.size()), error);
  if (error || !event.is_object()) return false;
  const auto* object = event.get_object().if_contains("object");
  if (object == nullptr) return false;
  const NodeSays says = read_node(*object, started_at);
  return says == NodeSays::ready || says == NodeSays::ready_perhaps_before;
}

// When the running process began; the epoch where a clock that was set back makes that useless.
SystemTime start_of(const StepContext& context) {
  const auto status = context.environment.process.status(process_spec(context));
  return status && status->started_at <= context.environment.clock.now() ? status->started_at : SystemTime();
}

// kubeadm's ClusterRoleBinding. `rusternetes` makes it when it starts; one that somebody removed is put back
// here as kubeadm does, with the break-glass certificate.
Result<> ensure_admin_binding(StepContext& context) {
  RN_TRY(HttpRequest request,
         request_as(context, "super-admin", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"));
  const std::string group(certs::cluster_admins_group);
  request.method = "POST";
  request.body = json::serialize(json::object{
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", "ClusterRoleBinding"},
      {"metadata", json::object{{"name", group}}},
      {"roleRef",
       json::object{
           {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "cluster-admin"}}},
      {"subjects", json::array{json::object{
                       {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", group}}}}});
  RN_TRY(const HttpResponse answer, context.environment.http.send(request));
  if (answer.status != 201 && answer.status != 409)
    return internal_error(fmt::format("binding {}: the api-server answered {}", group, answer.status));
  return {};
}

struct NodeAnswer {
  bool is_ready = false;
  std::string message;
};

// Whether the node's lease, which has microseconds, was renewed since.
Result<bool> is_lease_renewed(StepContext& context, SystemTime started_at) {
  RN_TRY(const HttpRequest request,
         request_as(
             context, "admin",
             "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + context.settings.node_name));
  RN_TRY(const HttpResponse answer, context.environment.http.send(request));
  boost::system::error_code error;
  const json::value lease = json::parse(answer.body, error);
  return answer.status == 200 && !error && parse_time(text_at(lease, "/spec/renewTime")) > started_at;
}

Result<NodeAnswer> get_node(StepContext& context, SystemTime started_at) {
  RN_TRY(const HttpRequest request,
         request_as(context, "admin", "/api/v1/nodes/" + context.settings.node_name));
  RN_TRY(const HttpResponse answer, context.environment.http.send(request));
  if (answer.status == 403) {
    RN_CHECK(ensure_admin_binding(context));
    return NodeAnswer{false, "the administrator's role binding was missing"};
  }
  if (answer.status == 404)
    return NodeAnswer{false, fmt::format("node \"{}\" has not registered", context.settings.node_name)};
  if (answer.status != 200)
    return NodeAnswer{false, fmt::format("the api-server answered {}", answer.status)};
  boost::system::error_code error;
  const json::value node = json::parse(answer.body, error);
  NodeSays says = error ? NodeSays::nothing : read_node(node, started_at);
  if (says == NodeSays::ready_perhaps_before) {
    RN_TRY(const bool is_renewed, is_lease_renewed(context, started_at));
    says = is_renewed ? NodeSays::ready : NodeSays::nothing;
  }
  if (says == NodeSays::ready) return NodeAnswer{true, ""};
  if (says == NodeSays::nothing)
    return NodeAnswer{false, fmt::format("node \"{}\" has said nothing since rusternetes started",
                                         context.settings.node_name)};
  return NodeAnswer{false, fmt::format("node \"{}\" is not Ready", context.settings.node_name)};
}

// Follows the node's events until it is Ready or the time is over.
void watch_node(StepContext& context, SystemTime started_at, milliseconds timeout) {
  auto request = request_as(
      context, "admin",
      fmt::format("/api/v1/nodes?watch=true&fieldSelector=metadata.name%3D{}", context.settings.node_name));
  if (!request) return;
  request->timeout = timeout;
  (void)context.environment.http.stream(*request, [&](std::string_view line) {
    return !shows_ready_node(line, started_at) && !context.environment.is_interrupted();
  });
}

}  // namespace

ClusterHealth cluster_health(StepContext& context) {
  ClusterHealth health;
  const auto ready = is_api_ready(context);
  health.is_api_ready = ready && *ready;
  if (!health.is_api_ready) {
    health.message = ready ? "the api-server is not ready" : ready.error().message;
    return health;
  }
  const auto node = get_node(context, start_of(context));
  health.is_node_ready = node && node->is_ready;
  health.message = node ? node->message : node.error().message;
  return health;
}

Result<> wait_until_ready(StepContext& context, milliseconds timeout) {
  Environment& environment = context.environment;
  const ProcessSpec spec = process_spec(context);
  const SteadyTime deadline = environment.clock.steady_now() + timeout;
  RN_TRY(const ProcessStatus before, environment.process.status(spec));
  for (;;) {
    const ClusterHealth health = cluster_health(context);
    if (health.is_api_ready && health.is_node_ready) return {};
    if (environment.is_interrupted())
      return failure("Interrupted", "interrupted while waiting; the cluster is kept");
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - environment.clock.steady_now());
    if (left.count() <= 0)
      return failure(
          "NotReady",
          fmt::format("the cluster is not ready after {} s: {}",
                      std::chrono::duration_cast<std::chrono::seconds>(timeout).count(), health.message));
    if (health.is_api_ready) {
      watch_node(context, start_of(context), std::min(left, milliseconds(5000)));
      // A watch that ends at once (a node that is not there yet, a server that stops) must not make this a
      // busy loop.
    }
    if (environment.process.wait_for_end(spec, std::min(left, retry_delay)))
      return failure("ProcessFailed", "the supervisor of the cluster ended");
    RN_TRY(const ProcessStatus now, environment.process.status(spec));
    if (now.restarts - before.restarts >= hopeless_restarts && !health.is_api_ready)
      return failure("ProcessFailed", fmt::format("rusternetes keeps ending ({}), see {}", now.last_exit,
                                                  context.paths.process_log().string()));
  }
}

}  // namespace rusternetes::launcher
