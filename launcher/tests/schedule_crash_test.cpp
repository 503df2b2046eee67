// Kills what sets, changes and ends a schedule, and what it runs, at every point at which they touch
// anything.
#include <boost/json.hpp>

#include "crash.h"
#include "launcher/snapshots.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

// "none", or how often; what runs must say the same.
std::string schedule_of(World& world) {
  REQUIRE(world.run({"snapshot", "schedule", "a", "--output", "json"}) == 0);
  const auto shown = boost::json::parse(world.out.str()).at("schedule");
  CHECK(world.things.has("snapshots", "a") == !shown.is_null());
  CHECK(world.things.has("snapshots-unit", "a") == !shown.is_null());
  return shown.is_null() ? "none" : std::string(shown.at("every").as_string());
}

}  // namespace

TEST_CASE("a schedule that is set, changed or ended is what it was or what it becomes, killed anywhere") {
  struct Change {
    std::string before, after;
    Words words;
  };
  const Change change = GENERATE(Change{"none", "6h", {"snapshot", "schedule", "a", "--every", "6h"}},
                                 Change{"1h", "6h", {"snapshot", "schedule", "a", "--every", "6h"}},
                                 Change{"1h", "none", {"snapshot", "schedule", "a", "--off"}});
  std::map<std::string, int> verdicts;
  int n = 1;
  for (;; ++n) {
    World world;
    REQUIRE(world.run({"create", "a"}) == 0);
    if (change.before != "none")
      REQUIRE(world.run({"snapshot", "schedule", "a", "--every", change.before}) == 0);
    if (!crashes_at(world, change.words, n)) break;
    INFO(change.before << " to " << change.after << ", killed at point " << n);
    REQUIRE(world.run({"list"}) == 0);
    const std::string said = verdict(world);
    ++verdicts[said];
    const std::string is = schedule_of(world);
    CHECK((is == change.before || is == change.after));
    if (said == "undone") CHECK(is == change.before);
    if (said.empty() && n > 2) CHECK(is == change.after);
    CHECK(said != "finished");
    CHECK(world.run({"status", "a"}) == 0);
    delete_and_check(world, {"delete", "a", "--yes", "--snapshots"});
  }
  CHECK(n > 8);
  CHECK(verdicts["undone"] >= 6);
  CHECK(verdicts[""] <= 3);
}

TEST_CASE("delete right after a schedule was killed leaves nothing") {
  for (int n = 1;; ++n) {
    World world;
    REQUIRE(world.run({"create", "a"}) == 0);
    if (!crashes_at(world, {"snapshot", "schedule", "a", "--every", "6h"}, n)) break;
    INFO("killed at point " << n);
    delete_and_check(world, {"delete", "a", "--yes", "--snapshots"});
  }
}

TEST_CASE("stop, start and delete of a cluster with a schedule killed anywhere keep the two together") {
  for (const char* word : {"stop", "start", "delete"}) {
    int n = 1;
    for (;; ++n) {
      World world;
      REQUIRE(world.run({"create", "a"}) == 0);
      REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "6h"}) == 0);
      if (std::string(word) == "start") REQUIRE(world.run({"stop", "a"}) == 0);
      if (!crashes_at(world, {word, "a", "--yes"}, n)) break;
      INFO(word << " killed at point " << n);
      REQUIRE(world.run({"list", "--names"}) == 0);
      if (world.out.str().empty()) {
        world.check_nothing_is_left();
        continue;
      }
      const bool is_stopped = world.run({"status", "a"}) == 9;
      CHECK(world.things.has("snapshots", "a") == !is_stopped);
      CHECK(world.things.has("snapshots-unit", "a") == !is_stopped);
      delete_and_check(world, {"delete", "a", "--yes", "--snapshots"});
    }
    CHECK(n > 15);
  }
}

TEST_CASE(
    "a schedule's own run killed anywhere leaves a whole snapshot or none, and the next run goes on from "
    "there") {
  std::map<std::string, int> verdicts;
  int n = 1, shown_last = 0;
  for (;; ++n) {
    World world;
    REQUIRE(world.run({"create", "a"}) == 0);
    std::ofstream(world.home() / "clusters/a/data/store.db") << "100 7 first\n";
    REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1s", "--keep", "1"}) == 0);
    if (!crashes_at(world, {"snapshot", "schedule", "a", "--run-due"}, n)) break;
    INFO("killed at point " << n);
    const auto late = std::chrono::seconds(10);
    ManualClock clock(std::chrono::system_clock::now() + late);
    world.clock = &clock;
    REQUIRE(world.run({"snapshot", "schedule", "a", "--run-due"}) == 0);
    ++verdicts[verdict(world)];
    const auto known = known_snapshots(Home{world.home()}, "a").value();
    REQUIRE(known.size() == 1);
    CHECK(scheduled_time(known[0].id) > clock.now() - late);
    CHECK(world.run({"snapshot", "inspect", "--id", known[0].id}) == 0);
    REQUIRE(world.run({"snapshot", "schedule", "a", "--output", "json"}) == 0);
    const auto shown = boost::json::parse(world.out.str()).at("schedule");
    CHECK(shown.at("failures") == 0);
    shown_last += shown.at("lastId").as_string() == known[0].id.c_str();
    delete_and_check(world, {"delete", "a", "--yes", "--snapshots"});
  }
  CHECK(n > 15);
  CHECK(shown_last == n - 1);
  CHECK(verdicts["finished"] >= 4);
  CHECK(verdicts["undone"] >= 8);
}

// Finishing it would end the process that does so: it is of the schedule that a stop or a change ends.
TEST_CASE("a schedule's own run leaves what was cut off to a command that somebody runs") {
  const Words words = GENERATE(Words{"stop", "a", "--yes"}, Words{"delete", "a", "--yes"},
                               Words{"snapshot", "schedule", "a", "--every", "12h"});
  int left = 0;
  for (int n = 1;; n += stride(2)) {
    World world;
    REQUIRE(world.run({"create", "a"}) == 0);
    std::ofstream(world.home() / "clusters/a/data/store.db") << "100 7 first\n";
    REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "6h"}) == 0);
    if (!crashes_at(world, words, n)) break;
    INFO(words[0] << " killed at point " << n);
    const bool is_there = world.things.has("snapshots", "a");
    (void)world.run({"snapshot", "schedule", "a", "--run-due"});
    CHECK(verdict(world).empty());
    CHECK(world.things.has("snapshots", "a") == is_there);
    const bool is_told = world.out.str().find("was interrupted") != std::string::npos;
    REQUIRE(world.run({"list", "--names"}) == 0);
    const bool is_alive = world.out.str() == "a\n";
    if (is_told) CHECK_FALSE(verdict(world).empty());
    left += is_told;
    if (is_alive && words[0] != "stop") {
      // Its turn comes again.
      ManualClock clock(std::chrono::system_clock::now() + std::chrono::hours(1));
      world.clock = &clock;
      REQUIRE(world.run({"snapshot", "schedule", "a", "--run-due"}) == 0);
      CHECK(known_snapshots(Home{world.home()}, "a").value().size() == 1);
      world.clock = &Clock::system();
    }
    if (is_alive) delete_and_check(world, {"delete", "a", "--yes", "--snapshots"});
    world.check_nothing_is_left();
  }
  CHECK(left > 3);
}
