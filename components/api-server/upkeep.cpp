#include "api-server/upkeep.h"

#include <malloc.h>

#include <utility>

#include "base/log.h"

namespace rusternetes::api_server {

Upkeep::Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options)
    : store_(store), options_(options), tasks_(std::move(executor)) {}

void Upkeep::start() {
  tasks_.spawn("compaction", compact_regularly());
  tasks_.spawn("memory", trim_when_idle());
}

Task<> Upkeep::stop() { co_await tasks_.stop(); }

Task<> Upkeep::compact_regularly() {
  storage::Revision seen = store_.current_revision();
  for (;;) {
    co_await sleep_for(options_.compaction_interval);
    // What was there an interval ago is old enough now.
    const storage::Revision old = std::exchange(seen, store_.current_revision());
    if (old <= store_.compact_revision()) continue;
    store_.compact(old, [old](Result<void> done) {
      if (!done) log::warn("api-server", "compaction up to revision {}: {}", old, done.error().message);
    });
  }
}

// The allocator keeps what bursts of requests freed; a thread of its own gives it back, since that takes a while.
Task<> Upkeep::trim_when_idle() {
  storage::Revision seen = store_.current_revision(), trimmed = 0;
  for (;;) {
    co_await sleep_for(options_.trim_interval);
    const storage::Revision before = std::exchange(seen, store_.current_revision());
    if (before != seen || trimmed == seen) continue;
    trimmed = seen;
    co_await worker_.run([] { ::malloc_trim(0); });
  }
}

}  // namespace rusternetes::api_server
