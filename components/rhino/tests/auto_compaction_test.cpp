// When auto-compaction compacts to which revision, by a manual clock; and that its thread does it.

#include "rhino/auto_compaction.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace std::chrono_literals;

namespace {

// Runs the schedule for `turns` intervals, writing `rate` revisions in each; every compaction succeeds.
struct Run {
  explicit Run(CompactionSchedule& s, ManualClock& c) : schedule(s), clock(c) {}
  void go(int turns, std::int64_t rate) {
    for (int i = 0; i < turns; ++i) {
      schedule.note(revision);
      revision += rate;
      clock.advance(schedule.interval());
      ++turn;
      const auto due = schedule.due(clock.steady_now(), revision);
      if (!due) continue;
      if (does_fail) {
        ++failures;
        continue;
      }
      schedule.compacted(*due, clock.steady_now());
      compactions.emplace_back(turn, *due);
    }
  }
  CompactionSchedule& schedule;
  ManualClock& clock;
  std::int64_t revision = 1;
  int turn = 0, failures = 0;
  bool does_fail = false;
  std::vector<std::pair<int, std::int64_t>> compactions;  // in which turn, to what
};

using Compactions = std::vector<std::pair<int, std::int64_t>>;

}  // namespace

TEST_CASE("a period of an hour is noted every six minutes and compacted every hour") {
  ManualClock clock;
  PeriodicSchedule schedule(1h, clock.steady_now());
  CHECK(schedule.interval() == 6min);
  Run run(schedule, clock);
  run.go(30, 10);
  // After an hour to the revision of its beginning, then each hour to that of an hour ago.
  CHECK(run.compactions == Compactions{{10, 1}, {20, 91}, {30, 191}});
}

TEST_CASE("a period of minutes is compacted every period") {
  ManualClock clock;
  PeriodicSchedule schedule(5min, clock.steady_now());
  CHECK(schedule.interval() == 30s);
  Run run(schedule, clock);
  run.go(20, 1);
  CHECK(run.compactions == Compactions{{10, 1}, {20, 10}});
}

TEST_CASE("a period of a day is waited for once, then compacted every hour to a day ago") {
  ManualClock clock;
  PeriodicSchedule schedule(24h, clock.steady_now());
  CHECK(schedule.interval() == 6min);
  Run run(schedule, clock);
  run.go(240 + 20, 1);
  REQUIRE(run.compactions.size() == 3);
  CHECK(run.compactions[0] == std::pair<int, std::int64_t>(240, 1));
  CHECK(run.compactions[1] == std::pair<int, std::int64_t>(250, 10));
  CHECK(run.compactions[2] == std::pair<int, std::int64_t>(260, 20));
}

TEST_CASE("a store without writes is not compacted again") {
  ManualClock clock;
  PeriodicSchedule schedule(1h, clock.steady_now());
  Run run(schedule, clock);
  run.go(50, 0);
  CHECK(run.compactions == Compactions{{10, 1}});
}

TEST_CASE("a compaction that failed is tried again at the next note") {
  ManualClock clock;
  PeriodicSchedule schedule(1h, clock.steady_now());
  Run run(schedule, clock);
  run.does_fail = true;
  run.go(12, 10);
  CHECK(run.failures == 3);
  run.does_fail = false;
  run.go(1, 10);
  REQUIRE(run.compactions.size() == 1);
  CHECK(run.compactions[0].first == 13);
}

TEST_CASE("mode revision keeps the last ones, and looks every five minutes") {
  ManualClock clock;
  RevisionSchedule schedule(1000);
  CHECK(schedule.interval() == 5min);
  CHECK_FALSE(schedule.due(clock.steady_now(), 1000));
  CHECK(schedule.due(clock.steady_now(), 6000) == 5000);
  CHECK(schedule.due(clock.steady_now(), 6000) == 5000);  // it was not done
  schedule.compacted(5000, clock.steady_now());
  CHECK_FALSE(schedule.due(clock.steady_now(), 6000));
  CHECK(schedule.due(clock.steady_now(), 6001) == 5001);
}

TEST_CASE("the thread compacts what its schedule says, and ends at once") {
  std::promise<std::int64_t> compacted;
  std::atomic<bool> is_done{false};
  AutoCompaction::Target target;
  target.revision = [] { return 7; };
  target.compact = [&](std::int64_t revision) -> Result<void> {
    if (!is_done.exchange(true)) compacted.set_value(revision);
    return {};
  };
  const auto begin = std::chrono::steady_clock::now();
  {
    AutoCompaction running(std::make_unique<PeriodicSchedule>(100ms, begin), std::move(target));
    auto future = compacted.get_future();
    REQUIRE(future.wait_for(10s) == std::future_status::ready);
    CHECK(future.get() == 7);
  }
  AutoCompaction::Target idle{[] { return 1; }, [](std::int64_t) -> Result<void> { return {}; }};
  const auto before = std::chrono::steady_clock::now();
  { AutoCompaction resting(std::make_unique<RevisionSchedule>(1), std::move(idle)); }
  CHECK(std::chrono::steady_clock::now() - before < 5s);
}
