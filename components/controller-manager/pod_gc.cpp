// Pods that nobody else ends (pkg/controller/podgc): of nodes that are gone or out of service, never bound,
// and those that have ended and are too many.

#include <fmt/format.h>

#include <map>
#include <set>

#include "apimachinery/time.h"
#include "base/log.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"
#include "controller-manager/pod_disruption.h"
#include "controller-manager/pod_gc_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::ReconcileResult;
using client::Resource;
using core_v1::Node;
using core_v1::Pod;

namespace {

constexpr Resource nodes{"", "v1", "nodes"}, pods{"", "v1", "pods"};
constexpr const char* log_name = "pod-garbage-collector-controller";
// A node that is gone from the mirror may come back to it for so long.
constexpr auto quarantine = std::chrono::seconds(40);
// Terminated Pods that are too many are collected as often.
constexpr auto collection_period = std::chrono::seconds(20);
constexpr Disruption node_is_gone{"DeletionByPodGC", "PodGC: node no longer exists"};

// Keys: "node:NAME" for one that Pods name and the mirror lacks, "pod:NAMESPACE/NAME", and:
constexpr const char* terminated_key = "terminated";
constexpr std::string_view node_prefix = "node:", pod_prefix = "pod:";

class PodGarbageCollector final : public Controller, public client::Reconciler {
 public:
  explicit PodGarbageCollector(Context& context)
      : clock_(*context.options.clock),
        threshold_(context.options.terminated_pod_gc_threshold),
        client_(context.make_client("pod-garbage-collector")),
        nodes_(context.informer(nodes)),
        pods_(context.informer(pods)),
        loop_(log_name, client_->executor(), *this, 4) {
    pods_.add_index("node", [](const Document& pod) -> std::vector<std::string> {
      const auto node = Pod(&pod.root()).spec().nodeName();
      if (node.empty()) return {};
      return {std::string(node)};
    });
    pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
  }
  void start(TaskGroup& tasks) override { loop_.start(tasks); }

  Task<Result<ReconcileResult>> reconcile(std::string key) override {
    if (key == terminated_key) co_return co_await collect_terminated();
    if (key.starts_with(node_prefix)) co_return co_await collect_orphans(key.substr(node_prefix.size()));
    const Document pod = pods_.get(key.substr(pod_prefix.size()));
    if (!pod || !is_abandoned(pod)) co_return ReconcileResult{};
    RN_CO_CHECK(co_await end(pod, {}));
    co_return ReconcileResult{};
  }

 private:
  bool is_abandoned(const Document& pod) const {
    const Document node = nodes_.get(std::string(Pod(&pod.root()).spec().nodeName()));
    return is_pod_abandoned(Pod(&pod.root()), Node(node ? &node.root() : nullptr));
  }

  void on_pod(const Document& before, const Document& now) {
    const std::string key = client::object_key(now ? now : before);
    if (now && is_pod_terminated(Pod(&now.root()))) {
      // Not at once: they come in numbers, and each round sorts them all.
      if (terminated_.insert(key).second && is_too_many())
        loop_.queue().add_after(terminated_key, collection_period);
    } else {
      terminated_.erase(key);
    }
    if (!now) return;
    const std::string node(Pod(&now.root()).spec().nodeName());
    if (!node.empty() && !nodes_.get(node)) loop_.queue().add(std::string(node_prefix) + node);
    if (is_abandoned(now)) loop_.queue().add(std::string(pod_prefix) + key);
  }
  void on_node(const Document& before, const Document& now) {
    const std::string name(client::name_of(now ? now : before));
    if (!now || missing_.contains(name)) loop_.queue().add(std::string(node_prefix) + name);
    if (!now) return;
    for (const auto& pod : pods_.by_index("node", name))
      if (is_pod_abandoned(Pod(&pod.root()), Node(&now.root())))
        loop_.queue().add(std::string(pod_prefix) + client::object_key(pod));
  }
  bool is_too_many() const {
    return threshold_ > 0 && terminated_.size() > static_cast<std::size_t>(threshold_);
  }

  Task<Result<ReconcileResult>> collect_terminated() {
    if (!is_too_many()) co_return ReconcileResult{};
    std::vector<Document> all;
    for (const auto& key : terminated_) all.push_back(pods_.get(key));
    const auto excess = excess_pods(std::move(all), static_cast<std::size_t>(threshold_));
    log::info(log_name, "{} terminated Pods are too many: {} go", terminated_.size(), excess.size());
    RN_CO_CHECK(co_await end_all(excess, {}));
    co_return ReconcileResult{collection_period};
  }

  // The mirror may be wrong about a node for a while; the API is asked before its Pods go.
  Task<Result<ReconcileResult>> collect_orphans(std::string name) {
    const auto orphans = pods_.by_index("node", name);
    if (nodes_.get(name) || orphans.empty()) {
      missing_.erase(name);
      co_return ReconcileResult{};
    }
    const SteadyTime now = clock_.steady_now();
    const SteadyTime over = missing_.try_emplace(name, now).first->second + quarantine;
    if (now < over) co_return ReconcileResult{over - now};
    auto found = co_await client_->get(nodes, "", name);
    if (found) {
      missing_.erase(name);
      co_return ReconcileResult{quarantine};
    }
    if (!found.error().is("NotFound")) co_return found.error();
    RN_CO_CHECK(co_await end_all(orphans, node_is_gone));
    missing_.erase(name);
    co_return ReconcileResult{};
  }

  // One that cannot be ended keeps no other; the first error is told.
  Task<Result<void>> end_all(std::vector<Document> all, Disruption why) {
    Result<void> result;
    for (const auto& pod : all) {
      if (is_pod_end_forced(Pod(&pod.root()))) continue;
      const auto ended = co_await end(pod, why);
      if (!ended && result) result = ended.error();
    }
    co_return result;
  }

  // Failed first, since no kubelet will say so, and then gone without grace.
  Task<Result<void>> end(Document pod, Disruption why) {
    const Pod view(&pod.root());
    const std::string name_space(client::namespace_of(pod)), name(client::name_of(pod));
    log::info(log_name, "Pod {}/{} is deleted", name_space, name);
    const std::string body =
        is_pod_terminated(view) ? "" : disruption_patch(view, why, true, to_microseconds(clock_.now()));
    if (!body.empty()) {
      auto patched =
          co_await client_->patch(pods, name_space, name, "status", client::PatchType::strategic, body, {});
      if (!patched && patched.error().is("NotFound")) co_return Result<void>{};
      if (!patched) co_return patched.error();
    }
    client::RemoveOptions options;
    options.grace_period_s = 0;
    options.uid = view.metadata().uid();
    auto removed = co_await client_->remove(pods, name_space, name, options);
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
    co_return Result<void>{};
  }

  const Clock& clock_;
  int threshold_;
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &nodes_, &pods_;
  client::ControllerLoop loop_;
  std::set<std::string> terminated_;           // keys
  std::map<std::string, SteadyTime> missing_;  // nodes that Pods name, since when the mirror lacks them
};

}  // namespace

std::unique_ptr<Controller> make_pod_garbage_collector(Context& context) {
  return std::make_unique<PodGarbageCollector>(context);
}

}  // namespace rusternetes::controller_manager
