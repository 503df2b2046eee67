// When memory that bursts left behind is given back.
#include "base/memory_trim.h"

#include <catch2/catch.hpp>

using namespace rusternetes;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

// Looks 20 s apart, with so much CPU time in between.
struct Watch {
  TrimPlan plan{std::chrono::seconds(60)};
  TrimPlan::Look last{};
  bool look(std::chrono::milliseconds cpu, std::uint64_t resident_mib, std::uint64_t used_mib) {
    last.now += std::chrono::seconds(20);
    last.cpu_time += cpu;
    last.resident_bytes = resident_mib * kMiB;
    last.used_bytes = used_mib * kMiB;
    return plan.is_due(last);
  }
  void trimmed(std::uint64_t resident_mib) {
    last.resident_bytes = resident_mib * kMiB;
    plan.note_trimmed(last);
  }
};

constexpr std::chrono::milliseconds kCalm{200}, kBusy{5000};

}  // namespace

TEST_CASE("memory is given back when a burst is over, whatever it was") {
  Watch watch;
  CHECK_FALSE(watch.look(kCalm, 40, 20));  // nothing to compare with
  CHECK(watch.look(kCalm, 40, 20));
  watch.trimmed(38);
  for (int i = 0; i < 10; ++i) CHECK_FALSE(watch.look(kCalm, 39, 20));
  CHECK_FALSE(watch.look(kBusy, 90, 50));
  CHECK_FALSE(watch.look(kBusy, 90, 22));
  CHECK(watch.look(kCalm, 90, 20));
  watch.trimmed(40);
  CHECK_FALSE(watch.look(kCalm, 40, 20));
}

TEST_CASE("memory that is in use is no reason to look for free memory, and once it is free it is") {
  Watch watch;
  (void)watch.look(kCalm, 40, 20);
  REQUIRE(watch.look(kCalm, 40, 20));
  watch.trimmed(38);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(watch.look(kCalm, 140, 120));
  CHECK(watch.look(kCalm, 140, 25));
}

TEST_CASE("memory is given back at most once a minute") {
  Watch watch;
  (void)watch.look(kCalm, 90, 20);
  REQUIRE(watch.look(kCalm, 90, 20));
  watch.trimmed(40);
  CHECK_FALSE(watch.look(kCalm, 90, 20));
  CHECK_FALSE(watch.look(kCalm, 90, 20));
  CHECK(watch.look(kCalm, 90, 20));
}
