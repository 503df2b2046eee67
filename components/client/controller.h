#pragma once
// The one reconcile loop (invariant 7): a controller gets a key, reads state, acts, and says what next.
// Retry, back-off, per-key order, metrics and logs are here and nowhere else.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/work_queue.h"

namespace rusternetes::client {

struct ReconcileResult {
  std::chrono::nanoseconds requeue_after{0};  // 0: not before something changes
};

class Reconciler {
 public:
  virtual ~Reconciler() = default;
  virtual Task<Result<ReconcileResult>> reconcile(std::string key) = 0;
};

// Runs `workers` coroutines that take keys from the queue. What reconcile() throws counts as an error of that
// key: it is tried again like any other, and the worker goes on.
class ControllerLoop {
 public:
  ControllerLoop(std::string name, asio::any_io_executor executor, Reconciler& reconciler, int workers = 1);
  WorkQueue& queue() { return queue_; }
  // `tasks` outlives the workers.
  void start(TaskGroup& tasks);

 private:
  Task<> work(const TaskGroup& tasks);
  Task<Result<ReconcileResult>> attempt(std::string key, const TaskGroup& tasks);
  std::string name_;
  WorkQueue queue_;
  Reconciler& reconciler_;
  int workers_;
};

}  // namespace rusternetes::client
