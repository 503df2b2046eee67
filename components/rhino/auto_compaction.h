#pragma once
// --auto-compaction-mode and --auto-compaction-retention, with etcd's timing: which revision is compacted
// when. The decision is a plain object that is told the time; the thread around it only waits and acts.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/status.h"

namespace rusternetes::rhino {

class CompactionSchedule {
 public:
  virtual ~CompactionSchedule() = default;
  // How long to wait before the next look().
  virtual std::chrono::nanoseconds interval() const = 0;
  // The store's revision is noted, then time passes (`now`): what is to be compacted, if anything.
  virtual void note(std::int64_t revision) = 0;
  virtual std::optional<std::int64_t> due(SteadyTime now, std::int64_t revision) = 0;
  // `revision`, which was due, is compacted (or had been already).
  virtual void compacted(std::int64_t revision, SteadyTime now) = 0;
};

// Keeps `period` of history: notes the revision every tenth of it (of an hour, if that is shorter), and once
// the first period is over compacts to what was noted a period ago, every period (hour).
class PeriodicSchedule final : public CompactionSchedule {
 public:
  PeriodicSchedule(std::chrono::nanoseconds period, SteadyTime start);
  std::chrono::nanoseconds interval() const override;
  void note(std::int64_t revision) override;
  std::optional<std::int64_t> due(SteadyTime now, std::int64_t revision) override;
  void compacted(std::int64_t revision, SteadyTime now) override;

 private:
  std::chrono::nanoseconds turn() const;  // between compactions
  std::chrono::nanoseconds period_;
  std::chrono::nanoseconds wait_;
  SteadyTime last_success_;
  std::int64_t last_revision_ = 0;
  std::deque<std::int64_t> revisions_;  // the first is of a period ago
};

// Keeps the last `retention` revisions; looks every five minutes.
class RevisionSchedule final : public CompactionSchedule {
 public:
  explicit RevisionSchedule(std::int64_t retention) : retention_(retention) {}
  std::chrono::nanoseconds interval() const override { return std::chrono::minutes(5); }
  void note(std::int64_t) override {}
  std::optional<std::int64_t> due(SteadyTime now, std::int64_t revision) override;
  void compacted(std::int64_t revision, SteadyTime) override { last_revision_ = revision; }

 private:
  std::int64_t retention_;
  std::int64_t last_revision_ = 0;
};

// The thread that follows a schedule.
class AutoCompaction {
 public:
  struct Target {
    std::function<std::int64_t()> revision;
    // Blocks until done. An error with reason Compacted counts as success.
    std::function<Result<void>(std::int64_t)> compact;
  };
  AutoCompaction(std::unique_ptr<CompactionSchedule> schedule, Target target);
  ~AutoCompaction();  // stops; a compaction under way ends first

 private:
  void loop();
  void act();
  std::unique_ptr<CompactionSchedule> schedule_;
  Target target_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace rusternetes::rhino
