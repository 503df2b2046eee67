#pragma once
// The scheduler: Pods without a node wait in a queue, get one by the framework's cycle, are assumed there and bound.

#include <deque>
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
  Task<> bind(Document pod, std::string node);
  Task<> refuse(Document pod, std::string message);
  void on_pod(const Document& before, const Document& now);
  void on_node(const Document& before, const Document& now);
  bool is_ours(const Document& pod) const;
  void retry_unschedulable();

  std::unique_ptr<client::ApiClient> client_;
  SchedulerOptions options_;
  client::Informer pods_, nodes_;
  client::WorkQueue queue_;
  client::EventRecorder events_;
  Cache cache_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::set<std::string> unschedulable_;  // keys that wait for something to change
  std::deque<std::pair<Document, std::string>> to_bind_;
  AsyncEvent bind_wake_;
  std::uint64_t turn_ = 0;
  TaskGroup tasks_;
};

}  // namespace rusternetes::scheduler
