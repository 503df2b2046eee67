#include "rhino/auto_compaction.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

#include "base/log.h"
#include "storage/store.h"

namespace rusternetes::rhino {
namespace {

constexpr std::chrono::nanoseconds longest_turn = std::chrono::hours(1);
constexpr int notes_a_turn = 10;

}  // namespace

PeriodicSchedule::PeriodicSchedule(std::chrono::nanoseconds period, SteadyTime start)
    : period_(period), wait_(period), last_success_(start) {}

std::chrono::nanoseconds PeriodicSchedule::turn() const { return std::min(period_, longest_turn); }

std::chrono::nanoseconds PeriodicSchedule::interval() const {
  return std::max(turn() / notes_a_turn, std::chrono::nanoseconds(1));
}

void PeriodicSchedule::note(std::int64_t revision) {
  revisions_.push_back(revision);
  const auto most = static_cast<std::size_t>(period_ / interval()) + 1;
  if (revisions_.size() > most) revisions_.pop_front();
}

std::optional<std::int64_t> PeriodicSchedule::due(SteadyTime now, std::int64_t) {
  if (revisions_.empty()) return std::nullopt;
  const auto revision = revisions_.front();
  if (now - last_success_ < wait_ || revision == last_revision_) return std::nullopt;
  wait_ = turn();  // the whole period is waited for once
  return revision;
}

void PeriodicSchedule::compacted(std::int64_t revision, SteadyTime now) {
  last_revision_ = revision;
  last_success_ = now;
}

std::optional<std::int64_t> RevisionSchedule::due(SteadyTime, std::int64_t revision) {
  const auto wanted = revision - retention_;
  if (wanted <= 0 || wanted == last_revision_) return std::nullopt;
  return wanted;
}

AutoCompaction::AutoCompaction(std::unique_ptr<CompactionSchedule> schedule, Target target)
    : schedule_(std::move(schedule)), target_(std::move(target)), thread_([this] {
        ::pthread_setname_np(::pthread_self(), "auto-compaction");
        loop();
      }) {}

AutoCompaction::~AutoCompaction() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void AutoCompaction::loop() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    schedule_->note(target_.revision());
    if (wake_.wait_for(lock, schedule_->interval(), [this] { return is_stopping_; })) return;
    lock.unlock();
    act();
    lock.lock();
  }
}

void AutoCompaction::act() {
  const auto revision = schedule_->due(std::chrono::steady_clock::now(), target_.revision());
  if (!revision) return;
  const auto done = target_.compact(*revision);
  if (!done && !done.error().is(storage::reason_compacted)) {
    log::warn("rhino", "auto-compaction to revision {} failed, and is tried again: {}", *revision,
              done.error().message);
    return;
  }
  schedule_->compacted(*revision, std::chrono::steady_clock::now());
  log::info("rhino", "auto-compaction to revision {}", *revision);
}

}  // namespace rusternetes::rhino
