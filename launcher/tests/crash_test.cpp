// Kills the launcher at every point at which it touches anything, and looks at what the next command makes of
// it.
#include "crash.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool is_recorded(World& world) {
  REQUIRE(world.run({"list", "--names"}) == 0);
  return world.out.str() == "a\n";
}

void check_is_running(World& world) {
  for (const char* kind : {"process", "released", "netns", "link", "drop-host", "drop-node", "mount", "unit"})
    CHECK(world.things.has(kind, "a"));
  CHECK(world.things.text("container", "a.app") == "running");
  CHECK(world.run({"status", "a"}) == 0);
}

void check_is_stopped(World& world) {
  for (const char* kind : {"process", "released", "netns", "link", "drop-node", "unit", "mount"})
    CHECK_FALSE(world.things.has(kind, "a"));
  CHECK(world.things.has("drop-host", "a"));
  CHECK(fs::exists(world.home() / "clusters/a/data"));
  CHECK(world.run({"status", "a"}) == 9);
}

}  // namespace

TEST_CASE("a create killed anywhere is finished or undone by the next command, which says so") {
  const std::string engine = GENERATE(as<std::string>(), "running", "private");
  std::map<std::string, int> verdicts;
  int n = 1;
  for (;; ++n) {
    World world;
    if (engine == "private") world.engine.running.clear();
    if (!crashes_at(world, {"create", "a"}, n)) break;
    INFO("killed at point " << n);
    const bool is_there = is_recorded(world);
    const std::string said = verdict(world);
    ++verdicts[said];
    if (said == "finished") {
      CHECK(is_there);
      check_is_running(world);
    } else if (is_there) {
      // Killed after the last write: there was nothing to finish.
      CHECK(said.empty());
      check_is_running(world);
    } else {
      world.check_nothing_is_left();
    }
    if (is_there) delete_and_check(world);
  }
  CHECK(n > 30);
  CHECK(verdicts["finished"] >= 5);
  CHECK(verdicts["undone"] >= 15);
  CHECK(verdicts[""] <= 4);
}

TEST_CASE("the same create again, after it was killed anywhere, gives a running cluster") {
  for (int n = 1;; n += stride(3)) {
    World world;
    if (!crashes_at(world, {"create", "a"}, n)) break;
    INFO("killed at point " << n);
    const int code = world.run({"create", "a"});
    CHECK((code == 0 || code == 4));  // 4: it was finished instead
    check_is_running(world);
    delete_and_check(world);
  }
}

TEST_CASE("delete right after a killed create leaves nothing") {
  for (int n = 1;; ++n) {
    World world;
    if (!crashes_at(world, {"create", "a"}, n)) break;
    INFO("killed at point " << n);
    const int code = world.run({"delete", "a", "--yes"});
    CHECK(
        (code == 0 || (code == 3 && n <= 3)));  // 3: nothing was journaled, so there never was such a cluster
    world.check_nothing_is_left();
  }
}

TEST_CASE("a delete killed anywhere is finished by the next command") {
  const std::string engine = GENERATE(as<std::string>(), "running", "private");
  int finished = 0;
  int n = 1;
  for (;; ++n) {
    World world;
    if (engine == "private") world.engine.running.clear();
    REQUIRE(world.run({"create", "a"}) == 0);
    if (!crashes_at(world, {"delete", "a", "--yes"}, n)) break;
    INFO("killed at point " << n);
    const bool is_there = is_recorded(world);
    finished += verdict(world) == "finished";
    if (is_there) {
      // Only before the plan was journaled.
      CHECK(n <= 2);
      check_is_running(world);
      delete_and_check(world);
    }
    world.check_nothing_is_left();
  }
  CHECK(n > 25);
  CHECK(finished >= n - 5);
}

TEST_CASE(
    "a stop and a start killed anywhere leave a cluster that is stopped or running, and can be deleted") {
  for (const char* word : {"stop", "start"}) {
    int n = 1;
    for (;; ++n) {
      World world;
      REQUIRE(world.run({"create", "a"}) == 0);
      if (std::string(word) == "start") REQUIRE(world.run({"stop", "a"}) == 0);
      if (!crashes_at(world, {word, "a"}, n)) break;
      INFO(word << " killed at point " << n);
      REQUIRE(is_recorded(world));
      const std::string said = verdict(world);
      const bool is_stopped = world.run({"status", "a"}) == 9;
      if (std::string(word) == "stop" && !said.empty()) CHECK(is_stopped);
      if (std::string(word) == "start" && said == "undone") CHECK(is_stopped);
      if (std::string(word) == "start" && said == "finished") CHECK_FALSE(is_stopped);
      is_stopped ? check_is_stopped(world) : check_is_running(world);
      delete_and_check(world);
    }
    CHECK(n > 15);
  }
}

TEST_CASE("a restart and a rotation of certificates killed anywhere are finished by the next command") {
  for (const Words& words : {Words{"restart", "a"}, Words{"certs", "rotate", "a"}}) {
    int n = 1, finished = 0;
    for (;; ++n) {
      World world;
      REQUIRE(world.run({"create", "a"}) == 0);
      if (!crashes_at(world, words, n)) break;
      INFO(words[0] << " killed at point " << n);
      REQUIRE(is_recorded(world));
      const std::string said = verdict(world);
      CHECK(said != "undone");
      finished += said == "finished";
      CHECK(world.run({"certs", "check", "a"}) == 0);
      check_is_running(world);
      delete_and_check(world);
    }
    CHECK(n > 8);
    CHECK(finished >= n - 6);
  }
}

TEST_CASE("a recovery that is killed too is completed by the command after it") {
  // A sample of both points: each pair stands for a create killed at n and its recovery killed at m.
  for (int n = 4;; n += 7) {
    for (int m = 1;; m += 4) {
      World world;
      if (!crashes_at(world, {"create", "a"}, n)) return;
      INFO("killed at point " << n << ", recovery at " << m);
      if (!crashes_at(world, {"list"}, m)) break;
      const bool is_there = is_recorded(world);
      if (is_there) {
        check_is_running(world);
        delete_and_check(world);
      }
      world.check_nothing_is_left();
    }
  }
}

TEST_CASE("a create that is finished after a reboot makes the node again before it starts the process") {
  World world;
  REQUIRE(world.run({"create", "probe"}) == 0);
  int release = 0;
  for (std::size_t i = 0; i < world.hooks.names.size(); ++i)
    if (world.hooks.names[i] == "after process release") release = static_cast<int>(i) + 1;
  REQUIRE(world.run({"delete", "probe", "--yes"}) == 0);
  REQUIRE(crashes_at(world, {"create", "a"}, release));
  for (const char* kind : {"process", "netns", "drop-node", "released", "drop-host", "link", "mount"})
    world.things.remove(kind, "a");
  REQUIRE(is_recorded(world));
  CHECK(verdict(world) == "finished");
  check_is_running(world);
  delete_and_check(world);
}
