// Kills snapshot, restore and clone at every point at which they touch anything, and looks at what the next
// command makes of it.
#include "crash.h"
#include "launcher/snapshots.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

fs::path folder_of(const World& world, const std::string& cluster) {
  return world.home() / "clusters" / cluster;
}

void write_store(const World& world, const std::string& cluster, const std::string& text) {
  std::ofstream(folder_of(world, cluster) / "data/store.db") << text << "\n";
}

std::string store_text(const World& world, const std::string& cluster) {
  const std::string text = certs::read_text(folder_of(world, cluster) / "data/store.db").value();
  return text.substr(0, text.find('\n'));
}

std::vector<KnownSnapshot> snapshots(const World& world) {
  return known_snapshots(Home{world.home()}).value();
}

// The next command has nothing left to do, and nobody finds anything of the interrupted one.
void check_is_settled(World& world, const std::string& cluster) {
  REQUIRE(world.run({"list", "--names"}) == 0);
  CHECK(verdict(world).empty());
  CHECK_FALSE(fs::exists(folder_of(world, cluster) / "snapshot"));
  CHECK_FALSE(fs::exists(folder_of(world, cluster) / "restore"));
}

void check_runs(World& world, const std::string& cluster) {
  for (const char* kind : {"process", "released", "netns", "link", "drop-host"})
    CHECK(world.things.has(kind, cluster));
  CHECK(world.things.text("container", cluster + ".app") == "running");
  CHECK(world.run({"status", cluster}) == 0);
}

void check_are_whole(World& world) {
  for (const KnownSnapshot& one : snapshots(world))
    CHECK(world.run({"snapshot", "inspect", "--file", one.file.string()}) == 0);
}

void delete_all(World& world) {
  REQUIRE(world.run({"delete", "--all", "--snapshots", "--yes"}) == 0);
  world.check_nothing_is_left();
}

// A running cluster with a snapshot of what its store no longer holds.
void prepare(World& world) {
  REQUIRE(world.run({"create", "a"}) == 0);
  write_store(world, "a", "100 7 first");
  REQUIRE(world.run({"snapshot", "a"}) == 0);
  write_store(world, "a", "200 8 second");
  world.http.revision = "200";
}

}  // namespace

TEST_CASE("a snapshot killed anywhere is there as a whole or not at all") {
  std::map<std::string, int> verdicts;
  int n = 1;
  for (;; ++n) {
    World world;
    REQUIRE(world.run({"create", "a"}) == 0);
    write_store(world, "a", "100 7 first");
    if (!crashes_at(world, {"snapshot", "a"}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list"}) == 0);
    const std::string said = verdict(world);
    ++verdicts[said];
    if (said == "finished") CHECK(snapshots(world).size() == 1);
    if (said == "undone") CHECK(snapshots(world).empty());
    check_is_settled(world, "a");
    check_are_whole(world);
    check_runs(world, "a");
    CHECK(store_text(world, "a") == "100 7 first");
    delete_all(world);
  }
  CHECK(n > 15);
  CHECK(verdicts["finished"] >= 4);
  CHECK(verdicts["undone"] >= 8);
}

TEST_CASE("a restore killed anywhere leaves the cluster running on the one store or the other") {
  const bool has_certificates = GENERATE(false, true);
  std::map<std::string, int> verdicts;
  int n = 1, restored = 0;
  for (;; ++n) {
    World world;
    prepare(world);
    const std::string id = snapshots(world)[0].id;
    Words words{"restore", "a", "--id", id, "--yes"};
    if (has_certificates) words.emplace_back("--certificates");
    if (!crashes_at(world, words, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list"}) == 0);
    const std::string said = verdict(world);
    ++verdicts[said];
    check_is_settled(world, "a");
    check_are_whole(world);
    check_runs(world, "a");
    const std::string text = store_text(world, "a");
    CHECK((text == "200 8 second" || text == "1000000200 7 first"));
    restored += text == "1000000200 7 first";
    // What was there is in the store or in a snapshot.
    CHECK((text == "200 8 second" || snapshots(world).size() == 2));
    CHECK(world.run({"certs", "check", "a"}) == 0);
    delete_all(world);
  }
  CHECK(n > 40);
  CHECK(verdicts["finished"] >= 8);
  CHECK(verdicts["undone"] >= 20);
  CHECK(restored >= 6);
}

TEST_CASE("a restore of a stopped cluster killed anywhere leaves it stopped on the one store or the other") {
  for (int n = 1;; ++n) {
    World world;
    prepare(world);
    REQUIRE(world.run({"stop", "a"}) == 0);
    const std::string id = snapshots(world)[0].id;
    if (!crashes_at(world, {"restore", "a", "--id", id, "--yes", "--no-snapshot"}, n)) {
      CHECK(n > 15);
      break;
    }
    INFO("killed at point " << n);
    REQUIRE(world.run({"list"}) == 0);
    check_is_settled(world, "a");
    const std::string text = store_text(world, "a");
    CHECK((text == "200 8 second" || text == "1000000200 7 first"));
    CHECK_FALSE(world.things.has("process", "a"));
    REQUIRE(world.run({"start", "a"}) == 0);
    delete_all(world);
  }
}

TEST_CASE("a clone killed anywhere is there or not, and its original runs on") {
  std::map<std::string, int> verdicts;
  int n = 1;
  for (;; ++n) {
    World world;
    prepare(world);
    const std::string id = snapshots(world)[0].id;
    if (!crashes_at(world, {"clone", "b", "--from", id}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    const bool is_there = world.out.str() == "a\nb\n";
    const std::string said = verdict(world);
    ++verdicts[said];
    if (said == "finished") CHECK(is_there);
    if (said == "undone") CHECK_FALSE(is_there);
    if (is_there) {
      check_is_settled(world, "b");
      check_runs(world, "b");
      CHECK(store_text(world, "b") == "1000000100 7 first+adapted");
    } else {
      CHECK_FALSE(fs::exists(folder_of(world, "b")));
      CHECK(world.things.names("process") == std::set<std::string>{"a"});
    }
    check_runs(world, "a");
    CHECK(store_text(world, "a") == "200 8 second");
    delete_all(world);
  }
  CHECK(n > 35);
  CHECK(verdicts["finished"] >= 5);
  CHECK(verdicts["undone"] >= 20);
}

TEST_CASE("a recovery of a restore that is killed too is completed by the command after it") {
  for (int n = 5;; n += 6) {
    for (int m = 1;; m += 3) {
      World world;
      prepare(world);
      const std::string id = snapshots(world)[0].id;
      if (!crashes_at(world, {"restore", "a", "--id", id, "--yes"}, n)) return;
      INFO("killed at point " << n << ", recovery at " << m);
      if (!crashes_at(world, {"list"}, m)) break;
      REQUIRE(world.run({"list"}) == 0);
      check_is_settled(world, "a");
      check_runs(world, "a");
      const std::string text = store_text(world, "a");
      CHECK((text == "200 8 second" || text == "1000000200 7 first"));
    }
  }
}

TEST_CASE("deleting a cluster whose snapshot or restore was killed leaves nothing of it") {
  for (const char* word : {"snapshot", "restore"})
    for (int n = 1;; n += stride(2)) {
      World world;
      prepare(world);
      Words words{word, "a"};
      if (std::string(word) == "restore") {
        words.insert(words.end(), {"--id", snapshots(world)[0].id, "--yes"});
      }
      if (!crashes_at(world, words, n)) break;
      INFO(word << " killed at point " << n);
      REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
      world.check_nothing_is_left();
    }
}

TEST_CASE("a delete of a cluster with its snapshots killed anywhere takes both") {
  for (int n = 1;; ++n) {
    World world;
    prepare(world);
    if (!crashes_at(world, {"delete", "a", "--yes", "--snapshots"}, n)) {
      CHECK(n > 20);
      break;
    }
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    if (world.out.str() == "a\n") {
      CHECK(n <= 2);  // before the plan was journaled
      REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
    }
    world.check_nothing_is_left();
  }
}
