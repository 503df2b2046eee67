#pragma once
// What a server does for itself while it serves: old revisions go from the store, memory that nobody needs goes back to
// the system.

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/task.h"
#include "base/worker.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct UpkeepOptions {
  // Revisions live at least so long and less than twice as long (kube-apiserver's --etcd-compaction-interval); 0: for ever.
  std::chrono::milliseconds compaction_interval{300'000};
  // How often is looked whether there is memory to give back.
  std::chrono::milliseconds trim_interval{20'000};
  // The least time between two times that some is.
  std::chrono::milliseconds least_trim_distance{60'000};
};

// When memory that the allocator keeps is worth giving back: when the process, whatever of it was busy (requests, execs,
// streams), has been calm since the last look, and keeps more than it could not give back the last time.
class TrimPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Look {
    Time now;
    std::chrono::nanoseconds cpu_time;  // of the whole process
    std::uint64_t resident_bytes, used_bytes;  // of the latter: what was allocated and not freed
  };
  explicit TrimPlan(std::chrono::milliseconds least_distance) : least_distance_(least_distance) {}
  bool is_due(const Look& look);
  // What a look finds when it is done.
  void note_trimmed(const Look& look);
  // Of this process. Blocking, for a few milliseconds if very much is free.
  static Look look();

 private:
  std::chrono::milliseconds least_distance_;
  std::optional<Look> last_;
  std::optional<Time> trimmed_at_;
  std::uint64_t kept_bytes_ = 0;  // when it was trimmed: code, stacks, and what is in between
};

class Upkeep {
 public:
  // `store` outlives it.
  Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options);
  void start();
  Task<> stop();

 private:
  // The turn that this server has seen last, and the store's revision then.
  struct CompactionTurn {
    std::int64_t number = 0;
    storage::Revision revision = 0;
  };
  static constexpr const char* compaction_key = "compact_rev_key";
  Task<> compact_regularly();
  Task<Result<void>> compact_in_turn(CompactionTurn& turn);
  Task<> trim_when_calm();

  storage::Store& store_;
  UpkeepOptions options_;
  WorkerThread worker_{"upkeep"};
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
