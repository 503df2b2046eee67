#include "api-server/upkeep.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "api-server/store_call.h"
#include "base/log.h"

namespace rusternetes::api_server {

Upkeep::Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options)
    : store_(store), options_(options), tasks_(std::move(executor)) {}

void Upkeep::start() {
  if (options_.compaction_interval.count() > 0) tasks_.spawn("compaction", compact_regularly());
  tasks_.spawn("memory", trim_when_calm());
}

Task<> Upkeep::stop() { co_await tasks_.stop(); }

Task<> Upkeep::compact_regularly() {
  CompactionTurn turn;
  for (;;) {
    auto looked = co_await compact_in_turn(turn);
    if (!looked) log::warn("api-server", "compaction up to revision {}: {}", turn.revision, looked.error().message);
    co_await sleep_for(options_.compaction_interval);
  }
}

// All api-servers of a store agree on one key, whose version counts the turns: who writes it first compacts, up to the
// revision of its own last look; the others learn the turn (k8s.io/apiserver storage/etcd3/compact.go; a kube-apiserver on
// the same store takes part). So what is kept is never younger than an interval.
Task<Result<void>> Upkeep::compact_in_turn(CompactionTurn& turn) {
  const auto request = std::make_shared<storage::TxnRequest>();
  storage::Compare compare;
  compare.key = compaction_key;
  compare.target = storage::Compare::Target::version;
  compare.number = turn.number;
  request->compares.push_back(std::move(compare));
  storage::PutRequest put;
  put.key = compaction_key;
  put.value = std::make_shared<const std::string>(std::to_string(turn.revision));
  request->success.emplace_back(std::move(put));
  request->failure.emplace_back(storage::RangeRequest{.key = compaction_key});
  auto claim = [&store = store_, request](auto done) { store.txn(std::move(*request), std::move(done)); };
  RN_CO_TRY(const auto answer, co_await store_call<storage::TxnResponse>(claim));
  const storage::Revision old = std::exchange(turn.revision, answer.revision);
  if (!answer.succeeded) {
    const auto& found = std::get<storage::RangeResponse>(answer.responses.front());
    turn.number = found.kvs.empty() ? 0 : found.kvs.front().version;
    co_return Result<void>{};
  }
  ++turn.number;
  if (old == 0) co_return Result<void>{};  // the first look
  auto compact = [&store = store_, old](auto done) { store.compact(old, std::move(done)); };
  auto done = co_await store_call<void>(compact);
  if (!done && done.error().is(storage::reason_compacted)) co_return Result<void>{};
  co_return done;
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
