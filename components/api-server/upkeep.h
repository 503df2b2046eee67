#pragma once
// What a server does for itself while it serves: old revisions go from the store, memory that nobody needs goes back to
// the system.

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/memory_trim.h"
#include "base/task.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct UpkeepOptions {
  // Revisions live at least so long and less than twice as long (kube-apiserver's --etcd-compaction-interval); 0: for ever.
  std::chrono::milliseconds compaction_interval{300'000};
  MemoryTrimOptions memory;
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

  storage::Store& store_;
  UpkeepOptions options_;
  std::optional<MemoryTrim> memory_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
