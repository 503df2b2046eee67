#pragma once
// The scheduler: Pods without a node wait in a queue, by priority; each gets a node by the framework's cycle,
// is assumed there and bound. The cycle waits for no answer of the API: bindings, and the conditions of Pods
// that get no node, are written by workers beside it.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "client/event_recorder.h"
#include "client/informer.h"
#include "client/work_queue.h"
#include "scheduler/framework.h"

namespace rusternetes::scheduler {

struct SchedulerOptions {
  std::string scheduler_name = "default-scheduler";
  int binders = 16;  // bindings under way at once
  int refusers = 4;  // conditions of unschedulable Pods under way at once
  // A Pod that waits for others is tried at most so often, however many are bound meanwhile.
  std::chrono::milliseconds pod_backoff{1'000};
};

class Scheduler {
 public:
  // Acts as the identity of `client` (system:kube-scheduler), on its executor.
  Scheduler(std::unique_ptr<client::ApiClient> client, SchedulerOptions options = {});
  ~Scheduler();
  void start();
  Task<> stop();

 private:
  Task<> run();
  Task<> schedule_loop();
  Task<> bind_loop();
  Task<> refuse_loop();
  Task<> bind(Document pod, std::string node);
  Task<Result<Document>> write_binding(Document pod, std::string node);
  Task<Result<Document>> write_condition(Document pod, std::string message);
  Task<> refuse(Document pod, std::string message);
  void schedule(const std::string& key);
  void place(const std::string& key, const Document& pod, const std::string& node);
  void set_aside(const std::string& key, const Document& pod, Placement placement);
  void on_pod(const Document& before, const Document& now);
  void on_node(const Document& before, const Document& now);
  void on_namespace(const Document& before, const Document& now);
  void forget_key(const std::string& key);
  std::int64_t priority_of(const std::string& key) const;
  bool is_ours(const Document& pod) const;
  void retry_unschedulable();
  void retry_who_waits_for_pods();

  // A Pod that no node would take.
  struct Waiting {
    std::string message;      // as the Pod's condition says
    bool heeds_pods = false;  // see Placement
    std::chrono::steady_clock::time_point tried_at;
  };
  using Decision =
      std::pair<Document, std::string>;  // a Pod with its node, or with the reason that it has none

  std::unique_ptr<client::ApiClient> client_;
  SchedulerOptions options_;
  client::Informer pods_, nodes_, namespaces_;
  client::WorkQueue queue_, refusals_;
  client::EventRecorder events_;
  Cache cache_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::map<std::string, Waiting> unschedulable_;  // by key: those that wait for something to change
  std::deque<Decision> to_bind_;
  // By key: not begun, and under way. A Pod that gets a node meanwhile is bound when its refusal is written,
  // so that the condition which stays is the one of the binding.
  std::map<std::string, Decision> to_refuse_;
  std::set<std::string> refusing_;
  std::map<std::string, Decision> bind_afterwards_;
  AsyncEvent bind_wake_;
  std::uint64_t turn_ = 0;
  TaskGroup tasks_;
};

}  // namespace rusternetes::scheduler
