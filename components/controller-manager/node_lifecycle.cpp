// A node that is not heard of any more is Unknown, its Pods are not ready, and, in time, it loses them
// (pkg/controller/nodelifecycle; the Pods' end is taint_eviction.cpp's). A node is looked at when it changes
// and at its deadline; nothing looks at all nodes again and again.

#include <fmt/format.h>

#include <map>
#include <set>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/node_lifecycle_health.h"
#include "controller-manager/node_lifecycle_zones.h"
#include "controller-manager/node_taint_plan.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::ReconcileResult;
using client::Resource;
using core_v1::Node;
using core_v1::Pod;

namespace {

constexpr Resource nodes{"", "v1", "nodes"}, pods{"", "v1", "pods"},
    leases{"coordination.k8s.io", "v1", "leases"};
constexpr std::string_view lease_namespace = "kube-node-lease";
constexpr const char* log_name = "node-lifecycle-controller";
constexpr const char* zones_key = "/zones";  // no node's name: turns are taken, zones are looked at
// Nodes that fail together are found within this time, before the first of them is tainted.
constexpr auto turn_pause = std::chrono::milliseconds(100);

// What the zones count a node as; nothing for one that is to be left out of it.
struct Standing {
  std::string zone;
  bool is_ready = false;
  bool operator==(const Standing&) const = default;
};
std::optional<Standing> standing_of(const Document& node) {
  if (!node) return std::nullopt;
  const Node view(&node.root());
  if (view.metadata().labels().contains("node.kubernetes.io/exclude-disruption")) return std::nullopt;
  return Standing{zone_of(view.metadata()), condition_status(view, "Ready") == "True"};
}

class NodeLifecycleController final : public Controller, public client::Reconciler {
 public:
  explicit NodeLifecycleController(Context& context)
      : clock_(*context.options.clock),
        options_(context.options.node_lifecycle),
        client_(context.make_client("node-controller")),
        nodes_(context.informer(nodes)),
        leases_(context.informer(leases)),
        pods_(context.informer(pods)),
        recorder_(*client_, "node-controller", {}, clock_),
        loop_(log_name, client_->executor(), *this, 8),
        zones_(options_),
        started_(clock_.steady_now()) {
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
    leases_.add_handler({[this](const Document&, const Document& now) { on_lease(now); }});
    pods_.add_index("node", [](const Document& pod) -> std::vector<std::string> {
      const auto node = Pod(&pod.root()).spec().nodeName();
      if (node.empty()) return {};
      return {std::string(node)};
    });
    pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
  }
  void start(TaskGroup& tasks) override {
    recorder_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<ReconcileResult>> reconcile(std::string key) override {
    if (key == zones_key) co_return take_turns();
    const Document node = nodes_.get(key);
    if (!node) co_return ReconcileResult{};
    const SteadyTime deadline = health_[key].deadline(options_);
    const bool is_silent = clock_.steady_now() >= deadline;
    if (is_silent) {
      auto marked = co_await mark_unknown(node);
      if (!marked) co_return marked.error();
      if (*marked) co_return ReconcileResult{};  // the mirror brings it back
    }
    const auto settled = co_await settle_taints(node);
    if (is_silent) RN_CO_CHECK(co_await mark_pods_not_ready(key));
    RN_CO_CHECK(settled);
    if (is_silent) co_return ReconcileResult{};
    const auto delay = next_check(deadline, started_, options_.monitor_period) - clock_.steady_now();
    co_return ReconcileResult{std::max<std::chrono::nanoseconds>(delay, std::chrono::milliseconds(1))};
  }

 private:
  std::int64_t now_us() const { return to_microseconds(clock_.now()); }

  void on_node(const Document& before, const Document& now) {
    const std::string name(client::name_of(now ? now : before));
    if (!before)
      recorder_.normal(now, "v1", "Node", "RegisteredNode",
                       fmt::format("Node {0} event: Registered Node {0} in Controller", name));
    if (now) {
      const Node view(&now.root());
      NodeHealth& health = health_[name];
      health.observe(view, clock_.steady_now(), clock_.now());
      if (!before) on_lease(leases_.get(key_of(lease_namespace, name)));
      if (!waits_for_no_execute(view))
        zones_.unwant(name), turns_.erase(name);
      else if (!turns_.contains(name) && zones_.want(zone_of(view.metadata()), name))
        loop_.queue().add_after(zones_key, turn_pause);
    } else {
      recorder_.normal(before, "v1", "Node", "RemovingNode",
                       fmt::format("Node {0} event: Removing Node {0} from Controller", name));
      health_.erase(name);
      zones_.unwant(name);
      turns_.erase(name);
    }
    const auto then = standing_of(before), standing = standing_of(now);
    if (then != standing) {
      count(then, -1);
      count(standing, 1);
      loop_.queue().add_after(zones_key, turn_pause);
    }
    if (now) loop_.queue().add(name);
  }
  void count(const std::optional<Standing>& standing, int by) {
    if (!standing) return;
    ZoneCount& counted = counts_[standing->zone];
    (standing->is_ready ? counted.ready : counted.not_ready) += by;
    if (counted.ready + counted.not_ready == 0) counts_.erase(standing->zone);
  }
  // Not queued for: a deadline that is farther away is found when the old one is over.
  void on_lease(const Document& lease) {
    if (!lease || client::namespace_of(lease) != lease_namespace) return;
    const auto health = health_.find(std::string(client::name_of(lease)));
    if (health == health_.end()) return;
    const auto spec = coordination_v1::Lease(&lease.root()).spec();
    if (spec.has_renewTime()) health->second.observe_lease(spec.renewTime(), clock_.steady_now());
  }
  // One that was bound to a node after the node had fallen silent.
  void on_pod(const Document& before, const Document& now) {
    if (!now) return;
    const std::string name(Pod(&now.root()).spec().nodeName());
    if (name.empty() || (before && Pod(&before.root()).spec().nodeName() == name)) return;
    const Document node = nodes_.get(name);
    if (node && condition_status(Node(&node.root()), "Ready") == "Unknown") loop_.queue().add(name);
  }

  ReconcileResult take_turns() {
    const SteadyTime now = clock_.steady_now();
    const auto change = zones_.update(counts_, now);
    if (change == Zones::Change::stopped)
      log::warn(log_name, "no node is ready: none loses its Pods until one is");
    if (change == Zones::Change::resumed) {
      log::info(log_name, "nodes are ready again: those that are not may lose their Pods from now on");
      for (auto& [name, health] : health_) health.forgive(now);
    }
    if (change != Zones::Change::none)
      for (const auto& [name, health] : health_) loop_.queue().add(name);
    for (auto& name : zones_.take(now)) {
      turns_.insert(name);
      loop_.queue().add(std::move(name));
    }
    const auto next = zones_.next();
    if (!next) return {};
    return {std::max<std::chrono::nanoseconds>(*next - now, turn_pause)};
  }

  // True if there was something to write.
  Task<Result<bool>> mark_unknown(Document node) {
    client::ObjectBuilder builder(node);
    if (!set_conditions_unknown(builder.arena(), builder.root(), now_us())) co_return false;
    const std::string name(client::name_of(node));
    auto updated = co_await client_->update(nodes, "", name, "status", builder.freeze(), {});
    if (!updated) co_return updated.error();
    log::warn(log_name, "node {} is silent", name);
    if (condition_status(Node(&node.root()), "Ready") == "True")
      recorder_.normal(node, "v1", "Node", "NodeNotReady",
                       fmt::format("Node {} status is now: NodeNotReady", name));
    co_return true;
  }

  // Nobody else says so, as their kubelet is not there; Services drop them. One that cannot be written keeps no
  // other from it; the first error is told.
  Task<Result<void>> mark_pods_not_ready(std::string name) {
    Result<void> result;
    for (const Document& pod : pods_.by_index("node", name)) {
      if (!is_pod_ready(Pod(&pod.root()))) continue;
      const std::string body = fmt::format(
          R"({{"metadata":{{"uid":"{}"}},"status":{{"conditions":[{{"type":"Ready","status":"False","lastTransitionTime":"{}"}}]}}}})",
          client::uid_of(pod), format_time(now_us()));
      auto patched = co_await client_->patch(pods, std::string(client::namespace_of(pod)),
                                             std::string(client::name_of(pod)), "status",
                                             client::PatchType::strategic, body, {});
      if (patched)
        recorder_.warning(pod, "v1", "Pod", "NodeNotReady", "Node is not ready");
      else if (result && !patched.error().is("NotFound"))
        result = patched.error();
    }
    co_return result;
  }

  Task<Result<void>> settle_taints(Document node) {
    const std::string name(client::name_of(node));
    client::ObjectBuilder builder(node);
    const NoExecute wanted =
        wanted_no_execute(Node(&builder.root()), turns_.contains(name), zones_.is_stopped());
    bool is_changed = set_condition_taints(builder.arena(), builder.root(), now_us());
    is_changed |= set_no_execute_taint(builder.arena(), builder.root(), wanted, now_us());
    is_changed |= set_beta_labels(builder.arena(), builder.root());
    if (!is_changed) co_return Result<void>{};
    auto updated = co_await client_->update(nodes, "", name, "", builder.freeze(), {});
    if (!updated) co_return updated.error();
    co_return Result<void>{};
  }

  const Clock& clock_;
  NodeLifecycleOptions options_;
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &nodes_, &leases_, &pods_;
  client::EventRecorder recorder_;
  client::ControllerLoop loop_;
  std::map<std::string, NodeHealth> health_;  // of every node in the mirror
  std::map<std::string, ZoneCount> counts_;   // by zone
  Zones zones_;
  std::set<std::string> turns_;  // nodes whose turn it is to get a NoExecute taint, until the mirror shows it
  SteadyTime started_;
};

}  // namespace

std::unique_ptr<Controller> make_node_lifecycle_controller(Context& context) {
  return std::make_unique<NodeLifecycleController>(context);
}

}  // namespace rusternetes::controller_manager
