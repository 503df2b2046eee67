#pragma once
// What a server does for itself while it serves: old revisions go from the store, memory that nobody needs goes back to
// the system.

#include <chrono>

#include "base/task.h"
#include "base/worker.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct UpkeepOptions {
  // Revisions live at least so long and less than twice as long (kube-apiserver's --etcd-compaction-interval).
  std::chrono::milliseconds compaction_interval{300'000};
  // Memory is given back when nothing was written for between one and two of these.
  std::chrono::milliseconds trim_interval{20'000};
};

class Upkeep {
 public:
  // `store` outlives it.
  Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options);
  void start();
  Task<> stop();

 private:
  Task<> compact_regularly();
  Task<> trim_when_idle();

  storage::Store& store_;
  UpkeepOptions options_;
  WorkerThread worker_{"upkeep"};
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
