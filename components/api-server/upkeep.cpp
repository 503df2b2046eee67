#include "api-server/upkeep.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/log.h"

namespace rusternetes::api_server {

Upkeep::Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options)
    : store_(store), options_(options), tasks_(std::move(executor)) {}

void Upkeep::start() {
  tasks_.spawn("compaction", compact_regularly());
  tasks_.spawn("memory", trim_when_calm());
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

bool TrimPlan::is_due(const Look& look) {
  constexpr double kCalmShare = 0.2;  // of one processor
  constexpr std::uint64_t kWorth = 4 << 20;
  const auto before = std::exchange(last_, look);
  if (!before) return false;
  const auto busy = std::chrono::duration<double>(look.cpu_time - before->cpu_time);
  if (busy > kCalmShare * (look.now - before->now)) return false;
  if (trimmed_at_ && look.now - *trimmed_at_ < least_distance_) return false;
  const std::uint64_t kept = look.resident_bytes - std::min(look.resident_bytes, look.used_bytes);
  if (trimmed_at_) kept_bytes_ = std::min(kept_bytes_, kept);
  return kept >= kept_bytes_ + kWorth;
}

void TrimPlan::note_trimmed(const Look& look) {
  trimmed_at_ = look.now;
  kept_bytes_ = look.resident_bytes - std::min(look.resident_bytes, look.used_bytes);
}

TrimPlan::Look TrimPlan::look() {
  Look out{std::chrono::steady_clock::now(), {}, 0, 0};
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  out.cpu_time = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  std::uint64_t all_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> all_pages >> resident_pages;
  out.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto info = ::mallinfo2();
  out.used_bytes = info.uordblks + info.hblkhd;
  return out;
}

// The allocator keeps what bursts freed; a thread of its own gives it back, since that takes a while. What is written says
// nothing of it: leases are renewed for ever, and execs and lists write nothing.
Task<> Upkeep::trim_when_calm() {
  TrimPlan plan(options_.least_trim_distance);
  for (;;) {
    co_await sleep_for(options_.trim_interval);
    const auto look = co_await worker_.run(&TrimPlan::look);
    if (!plan.is_due(look)) continue;
    const auto after = co_await worker_.run([] {
      ::malloc_trim(0);
      return TrimPlan::look();
    });
    plan.note_trimmed(after);
    log::debug("api-server", "gave back memory: {} MiB resident, {} MiB before", after.resident_bytes >> 20,
               look.resident_bytes >> 20);
  }
}

}  // namespace rusternetes::api_server
