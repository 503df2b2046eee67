// Pods leave a node with a NoExecute taint that they do not tolerate, at once or when their time is over
// (pkg/controller/tainteviction).

#include <fmt/format.h>

#include <map>
#include <set>

#include "apimachinery/time.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"
#include "controller-manager/pod_disruption.h"
#include "controller-manager/taint_eviction_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::ReconcileResult;
using client::Resource;
using core_v1::Node;
using core_v1::Pod;

namespace {

constexpr Resource nodes{"", "v1", "nodes"}, pods{"", "v1", "pods"};
constexpr const char* log_name = "taint-eviction-controller";
constexpr Disruption by_taint{"DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"};

bool has_no_execute(const Node& node) {
  for (const auto taint : node.spec().taints())
    if (taint.effect() == "NoExecute") return true;
  return false;
}

class TaintEvictionController final : public Controller, public client::Reconciler {
 public:
  explicit TaintEvictionController(Context& context)
      : clock_(*context.options.clock),
        client_(context.make_client("node-controller")),
        nodes_(context.informer(nodes)),
        pods_(context.informer(pods)),
        recorder_(*client_, log_name, {}, clock_),
        loop_(log_name, client_->executor(), *this, 8) {
    pods_.add_index("node", [](const Document& pod) -> std::vector<std::string> {
      const auto node = Pod(&pod.root()).spec().nodeName();
      if (node.empty()) return {};
      return {std::string(node)};
    });
    pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
  }
  void start(TaskGroup& tasks) override {
    recorder_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<ReconcileResult>> reconcile(std::string key) override {
    const Document pod = pods_.get(key);
    const Pod view(pod ? &pod.root() : nullptr);
    const std::string uid(view.metadata().uid());
    const Document node = nodes_.get(std::string(view.spec().nodeName()));
    if (!pod || !node || view.metadata().has_deletionTimestamp() || evicted_.contains(uid)) {
      timers_.erase(key);
      co_return ReconcileResult{};
    }
    const TaintVerdict verdict = judge_taints(Node(&node.root()), view);
    if (!verdict.must_go && verdict.borne.empty()) {
      if (timers_.erase(key))
        recorder_.normal(pod, "v1", "Pod", "TaintManagerEviction",
                         fmt::format("Cancelling deletion of Pod {}", key));
      co_return ReconcileResult{};
    }
    if (!verdict.must_go) {
      const SteadyTime now = clock_.steady_now(), over = timers_[key].update(verdict.borne, now);
      if (now < over) co_return ReconcileResult{over - now};
    }
    if (announced_.insert(uid).second)
      recorder_.normal(pod, "v1", "Pod", "TaintManagerEviction",
                       fmt::format("Marking for deletion Pod {}", key));
    RN_CO_CHECK(co_await evict(pod));
    // Unless it has left the mirror meanwhile: nobody would take the uid out again.
    if (const Document still = pods_.get(key); still && client::uid_of(still) == uid) evicted_.insert(uid);
    timers_.erase(key);
    co_return ReconcileResult{};
  }

 private:
  void on_pod(const Document& before, const Document& now) {
    const Document& pod = now ? now : before;
    const std::string key = client::object_key(pod);
    if (!now || (before && client::uid_of(before) != client::uid_of(now))) {
      evicted_.erase(std::string(client::uid_of(before)));
      announced_.erase(std::string(client::uid_of(before)));
      timers_.erase(key);
    }
    if (!now) return;
    const Document node = nodes_.get(std::string(Pod(&pod.root()).spec().nodeName()));
    if (node && has_no_execute(Node(&node.root()))) loop_.queue().add(key);
  }
  void on_node(const Document& before, const Document& now) {
    const bool had = before && has_no_execute(Node(&before.root()));
    const bool has = now && has_no_execute(Node(&now.root()));
    if (!had && !has) return;
    if (had && has) {
      constexpr int spec = Node::f_spec, taints = core_v1::NodeSpec::f_taints;
      if (equal(*descend(&before.root(), spec, taints), *descend(&now.root(), spec, taints))) return;
    }
    for (const auto& pod : pods_.by_index("node", client::name_of(now ? now : before)))
      loop_.queue().add(client::object_key(pod));
  }

  Task<Result<void>> evict(Document pod) {
    const Pod view(&pod.root());
    const std::string name_space(client::namespace_of(pod)), name(client::name_of(pod));
    log::info(log_name, "Pod {}/{} leaves node {}", name_space, name, view.spec().nodeName());
    const std::string body = disruption_patch(view, by_taint, false, to_microseconds(clock_.now()));
    if (!body.empty()) {
      auto patched =
          co_await client_->patch(pods, name_space, name, "status", client::PatchType::strategic, body, {});
      if (!patched && patched.error().is("NotFound")) co_return Result<void>{};
      if (!patched) co_return patched.error();
    }
    client::RemoveOptions options;
    options.uid = view.metadata().uid();
    auto removed = co_await client_->remove(pods, name_space, name, options);
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
    co_return Result<void>{};
  }

  const Clock& clock_;
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &nodes_, &pods_;
  client::EventRecorder recorder_;
  client::ControllerLoop loop_;
  std::map<std::string, TaintTimer> timers_;   // by Pod, while its time runs
  std::set<std::string> announced_, evicted_;  // uids of Pods, until the mirror has them no more
};

}  // namespace

std::unique_ptr<Controller> make_taint_eviction_controller(Context& context) {
  return std::make_unique<TaintEvictionController>(context);
}

}  // namespace rusternetes::controller_manager
