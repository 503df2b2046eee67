#include "launcher/readiness.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>
#include <map>
#include <optional>
#include <thread>

#include "certs/pki.h"
#include "launcher/api_request.h"
#include "launcher/component_health.h"
#include "launcher/failure.h"
#include "launcher/ports/http_port.h"
#include "launcher/ports/process_port.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

// How long a try waits that meets a closed port, before the next one.
constexpr milliseconds retry_delay{20};
// From one look at an engine's containers to the next.
constexpr milliseconds engine_pause{500};
// A child that ended this often before it was ever ready will not be.
constexpr long hopeless_restarts = 4;

Result<bool> is_api_ready(StepContext& context) {
  RN_TRY(HttpRequest request, request_as(context, "admin", "/readyz"));
  request.timeout = milliseconds(2000);
  const auto answer = context.environment.http.send(request);
  return answer && answer->status == 200;
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
Result<bool> is_lease_renewed(StepContext& context, const std::string& name, SystemTime started_at) {
  RN_TRY(const HttpRequest request,
         request_as(context, "admin", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + name));
  RN_TRY(const HttpResponse answer, context.environment.http.send(request));
  boost::system::error_code error;
  const json::value lease = json::parse(answer.body, error);
  return answer.status == 200 && !error && parse_time(text_at(lease, "/spec/renewTime")) > started_at;
}

Result<NodeAnswer> get_node(StepContext& context, const std::string& name, SystemTime started_at) {
  RN_TRY(const HttpRequest request, request_as(context, "admin", "/api/v1/nodes/" + name));
  RN_TRY(const HttpResponse answer, context.environment.http.send(request));
  if (answer.status == 403) {
    RN_CHECK(ensure_admin_binding(context));
    return NodeAnswer{false, "the administrator's role binding was missing"};
  }
  if (answer.status == 404)
    return NodeAnswer{false, fmt::format("node \"{}\" has not registered", name)};
  if (answer.status != 200)
    return NodeAnswer{false, fmt::format("the api-server answered {}", answer.status)};
  boost::system::error_code error;
  const json::value node = json::parse(answer.body, error);
  NodeSays says = error ? NodeSays::nothing : read_node(node, started_at);
  if (says == NodeSays::ready_perhaps_before) {
    RN_TRY(const bool is_renewed, is_lease_renewed(context, name, started_at));
    says = is_renewed ? NodeSays::ready : NodeSays::nothing;
  }
  if (says == NodeSays::ready) return NodeAnswer{true, ""};
  if (says == NodeSays::nothing)
    return NodeAnswer{false, fmt::format("node \"{}\" has said nothing since {} started", name,
                                         context.settings.has_containers() ? "its kubelet" : "rusternetes")};
  return NodeAnswer{false, fmt::format("node \"{}\" is not Ready", name)};
}

// Follows the node's events until it is Ready or the time is over.
void watch_node(StepContext& context, const std::string& name, SystemTime started_at, milliseconds timeout) {
  auto request = request_as(context, "admin",
                            "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3D" + name);
  if (!request) return;
  request->timeout = timeout;
  (void)context.environment.http.stream(*request, [&](std::string_view line) {
    return !shows_ready_node(line, started_at) && !context.environment.is_interrupted();
  });
}

// Tells a component that does not live long from one that waits for another.
class EndCounter {
 public:
  // ProcessFailed once it is hopeless.
  Result<> look(const StepContext& context, const Liveness& now) {
    if (!first_restarts_) first_restarts_ = now.process.restarts;
    if (now.process.restarts - *first_restarts_ >= hopeless_restarts)
      return failure("ProcessFailed", fmt::format("rusternetes keeps ending ({}), see {}", now.process.last_exit,
                                                  context.paths.process_log().string()));
    for (const ComponentContainer& one : now.components) {
      Seen& seen = seen_[one.key];
      if (one.started_at != seen.started_at) ++seen.starts;
      seen.started_at = one.started_at;
      if (seen.starts > hopeless_restarts)
        return failure("ProcessFailed",
                       fmt::format("{} keeps ending (exit code {}), see `rusternetes-ctl logs {} --component {}`",
                                   one.key, one.exit_code, context.settings.name, one.component));
    }
    return {};
  }

 private:
  struct Seen {
    SystemTime started_at;
    long starts = 0;
  };
  std::optional<long> first_restarts_;
  std::map<std::string, Seen> seen_;
};

}  // namespace

std::string node_problem(StepContext& context, const Liveness& liveness, const std::string& node) {
  const auto answer = get_node(context, node, start_of(context, liveness, node));
  if (!answer) return answer.error().message;
  return answer->is_ready ? std::string() : answer->message;
}

ClusterHealth cluster_health(StepContext& context, const Liveness& liveness) {
  ClusterHealth health;
  const std::vector<std::string> names = node_names(context.settings);
  const auto ready = is_api_ready(context);
  health.is_api_ready = ready && *ready;
  if (!health.is_api_ready) {
    health.waiting_nodes = names;
    health.message = !ready                     ? ready.error().message
                     : liveness.problem.empty() ? "the api-server is not ready"
                                                : "the api-server is not ready: " + liveness.problem;
    return health;
  }
  for (const std::string& name : names) {
    const std::string problem = node_problem(context, liveness, name);
    if (problem.empty()) continue;
    health.waiting_nodes.push_back(name);
    if (health.message.empty()) health.message = problem;
  }
  health.is_node_ready = health.waiting_nodes.empty();
  return health;
}

Result<> wait_until_ready(StepContext& context, milliseconds timeout) {
  Environment& environment = context.environment;
  const SteadyTime deadline = environment.clock.steady_now() + timeout;
  EndCounter ends;
  Liveness liveness;
  SteadyTime looked_at;
  for (;;) {
    // Engines take some milliseconds for each container.
    if (const SteadyTime now = environment.clock.steady_now();
        !context.settings.has_containers() || now - looked_at > engine_pause) {
      RN_TRY(liveness, look_at(context));
      looked_at = now;
    }
    const ClusterHealth health = cluster_health(context, liveness);
    if (health.is_api_ready && health.is_node_ready) return {};
    if (!health.is_api_ready) RN_CHECK(ends.look(context, liveness));
    if (environment.is_interrupted())
      return failure("Interrupted", "interrupted while waiting; the cluster is kept");
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - environment.clock.steady_now());
    if (left.count() <= 0)
      return failure(
          "NotReady",
          fmt::format("the cluster is not ready after {} s: {}",
                      std::chrono::duration_cast<std::chrono::seconds>(timeout).count(), health.message));
    if (health.is_api_ready) {
      const std::string& name = health.waiting_nodes.front();
      watch_node(context, name, start_of(context, liveness, name), std::min(left, milliseconds(5000)));
      // A watch that ends at once (a node that is not there yet, a server that stops) must not make this a
      // busy loop.
    }
    if (context.settings.has_containers()) {
      std::this_thread::sleep_for(std::min(left, retry_delay));
    } else if (environment.process.wait_for_end(process_spec(context), std::min(left, retry_delay))) {
      return failure("ProcessFailed", "the supervisor of the cluster ended");
    }
  }
}

std::string what_is_wrong(StepContext& context, const Liveness& liveness) {
  const auto health = ask_components(context, liveness);
  for (const ComponentProblem& one : component_problems(context.settings, liveness, health))
    if (one.is_serious) return fmt::format("{} {}", one.key, one.problem);
  const ClusterHealth cluster = cluster_health(context, liveness);
  return cluster.is_api_ready && cluster.is_node_ready ? std::string() : cluster.message;
}

}  // namespace rusternetes::launcher
