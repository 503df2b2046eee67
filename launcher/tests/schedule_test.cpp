// Snapshots that are taken by themselves: when they are due, the commands, and what the schedule's process
// does.
#include "launcher/schedule/schedule.h"

#include <boost/json.hpp>

#include "launcher/doctor/cluster_checks.h"
#include "launcher/schedule/memory.h"
#include "launcher/snapshots.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const SystemTime noon = std::chrono::system_clock::from_time_t(1'800'000'000);  // of some day
const SnapshotSchedule hourly{.every = 1h, .keep = 3, .passphrase_file = {}};

// A running cluster, hours that pass when they are told to, and the file that stands for the supervisor's
// pipe.
struct Hours {
  World world;
  ManualClock clock{noon};
  fs::path wake = world.folder.path / "wake";

  Hours() {
    world.clock = &clock;
    world.variables["RUSTERNETES_WAKE"] = wake.string();
    REQUIRE(world.run({"create", "a"}) == 0);
    std::ofstream(world.home() / "clusters/a/data/store.db") << "100 7 first\n";
  }
  // What its supervisor would do. Returns how long the process asks to be left alone.
  std::chrono::seconds run(int exit_code = 0) {
    fs::remove(wake);
    CHECK(world.run({"snapshot", "schedule", "a", "--run-due"}) == exit_code);
    std::istringstream text(certs::read_text(wake).value());
    std::int64_t last = 0;
    for (std::int64_t one = 0; text >> one;) last = one;
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::from_time_t(last) -
                                                            clock.now());
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    for (const KnownSnapshot& one : known_snapshots(Home{world.home()}, "a").value()) out.push_back(one.id);
    return out;
  }
  std::size_t scheduled() const {
    const auto all = ids();
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [](const std::string& id) { return scheduled_time(id).has_value(); }));
  }
  json::value answer(const std::vector<std::string>& words) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--output", "json"});
    world.run(all);
    return json::parse(world.out.str());
  }
  json::object shown() { return answer({"snapshot", "schedule", "a"}).at("schedule").as_object(); }
};

}  // namespace

TEST_CASE("the next snapshot is due an interval after the last one, and the first at once") {
  CHECK(next_due(hourly, {}, {}, noon) == noon);
  CHECK(next_due(hourly, {}, {noon - 20min}, noon) == noon + 40min);
  CHECK(next_due(hourly, {}, {noon - 3h, noon - 20min, noon - 2h}, noon) == noon + 40min);
  // A host that slept: it is over due.
  CHECK(next_due(hourly, {}, {noon - 9h}, noon) == noon - 8h);
  // One that was skipped, or that somebody has deleted, is not made up for at once.
  CHECK(next_due(hourly, {.tried_at = noon - 10min}, {noon - 9h}, noon) == noon + 50min);
}

TEST_CASE(
    "after a failure it is tried again after a minute, then two, and never more seldom than the interval") {
  CHECK(retry_delay(hourly, 1) == 1min);
  CHECK(retry_delay(hourly, 2) == 2min);
  CHECK(retry_delay(hourly, 6) == 32min);
  CHECK(retry_delay(hourly, 7) == 1h);
  CHECK(retry_delay(hourly, 1'000'000) == 1h);
  CHECK(retry_delay({.every = 2s, .keep = 1, .passphrase_file = {}}, 1) == 2s);
  const ScheduleMemory failed{.tried_at = noon, .failures = 3, .failure_id = "NoSpace", .failure = "full"};
  CHECK(next_due(hourly, failed, {noon - 5h}, noon) == noon + 4min);
  // Somebody has taken one since.
  CHECK(next_due(hourly, failed, {noon + 1s}, noon + 2s) == noon + 1h + 1s);
}

TEST_CASE("a clock that is put back makes neither a burst nor a gap of more than two intervals") {
  // By less than an interval: the last one counts.
  CHECK(next_due(hourly, {}, {noon + 30min}, noon) == noon + 90min);
  // By a day: what lies ahead says nothing, what is older does.
  CHECK(next_due(hourly, {.tried_at = noon + 24h}, {noon + 24h, noon - 30min}, noon) == noon + 30min);
  CHECK(next_due(hourly, {.tried_at = noon + 24h, .failures = 2}, {noon + 24h}, noon) == noon);
  // And then it was tried now.
  CHECK(next_due(hourly, {.tried_at = noon}, {noon + 24h}, noon) == noon + 1h);
}

TEST_CASE("a try of which nobody wrote the end has failed, unless its snapshot is there") {
  const ScheduleMemory begun{.tried_at = noon + 500ms,
                             .is_under_way = true,
                             .failures = 1,
                             .failure_id = "NoSpace",
                             .failure = "full"};
  const ScheduleMemory failed = settled(begun, {noon - 1h});
  CHECK_FALSE(failed.is_under_way);
  CHECK(failed.failures == 2);
  CHECK(failed.failure_id == "Interrupted");
  CHECK(settled(begun, {noon}) == ScheduleMemory{.tried_at = noon + 500ms});
  CHECK(settled(failed, {}) == failed);
}

TEST_CASE("an interval is shown as it is given") {
  CHECK(interval_text(6h) == "6h");
  CHECK(interval_text(90min) == "1h30m");
  CHECK(interval_text(24h) == "24h");
  CHECK(interval_text(2s) == "2s");
  CHECK(interval_text(0s) == "0s");
}

TEST_CASE("the id of a snapshot tells whether it was taken by itself, and when") {
  CHECK(scheduled_time("20270115-080000-scheduled") == noon);
  CHECK(scheduled_time("20270115-080000-scheduled-2") == noon);
  for (const char* id : {"20270115-080000", "20270115-080000-2", "scheduled", "", "2027x115-080000-scheduled",
                         "nightly-scheduled", "20270115-080000-mine-scheduled"})
    CHECK_FALSE(scheduled_time(id).has_value());
}

TEST_CASE("a schedule is set, shown, changed and ended") {
  Hours hours;
  World& world = hours.world;
  REQUIRE(world.run({"snapshot", "schedule", "a"}) == 0);
  CHECK(world.out.str().find("--every 6h") != std::string::npos);
  CHECK(hours.answer({"snapshot", "schedule", "a"}).at("schedule").is_null());
  CHECK(world.run({"snapshot", "schedule", "a", "--keep", "3"}) == 2);  // how often?
  for (const char* every : {"0", "500ms", "1500ms", "often", "-1h"})
    CHECK(world.run({"snapshot", "schedule", "a", "--every", every}) == 2);
  CHECK(world.run({"snapshot", "schedule", "a", "--every", "1h", "--keep", "0"}) == 2);
  CHECK(world.run({"snapshot", "schedule", "a", "--off", "--keep", "3"}) == 2);
  CHECK(world.run({"snapshot", "schedule", "b", "--every", "1h"}) == 3);
  CHECK(world.run({"snapshot", "schedule", "a", "--every", "1h", "--passphrase-file", "/nowhere"}) == 2);
  CHECK_FALSE(world.things.has("snapshots", "a"));

  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "6h", "--dry-run"}) == 0);
  CHECK_FALSE(world.things.has("snapshots", "a"));
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "6h"}) == 0);
  CHECK(world.things.text("snapshots", "a") ==
        (world.bin() / "rusternetes-ctl").string() + " snapshot schedule a --run-due --home " + world.home().string());
  CHECK(world.things.has("snapshots-unit", "a"));
  // What is started reads it.
  CHECK(world.process.recorded_when_started.find("\"everySeconds\":21600") != std::string::npos);
  json::object shown = hours.shown();
  CHECK(shown.at("every") == "6h");
  CHECK(shown.at("keep") == 7);
  CHECK(shown.at("running") == true);
  CHECK(shown.at("lastAt").is_null());

  const fs::path passphrase = world.folder.path / "passphrase";
  std::ofstream(passphrase) << "open sesame\n";
  REQUIRE(world.run({"snapshot", "schedule", "a", "--keep", "2", "--passphrase-file", passphrase.string()}) ==
          0);
  shown = hours.shown();
  CHECK(shown.at("every") == "6h");  // as before
  CHECK(shown.at("keep") == 2);
  CHECK(shown.at("encrypted") == true);
  const int starts = world.process.timed_starts;
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1h"}) == 0);
  CHECK(world.process.timed_starts == starts + 1);  // else it would wait for what was set before
  CHECK(hours.shown().at("encrypted") == true);     // nobody asked for Secrets in the clear

  REQUIRE(world.run({"list"}) == 0);
  CHECK(world.out.str().find("every 1h, next now") != std::string::npos);
  REQUIRE(world.run({"status", "a"}) == 0);
  CHECK(world.out.str().find("every 1h, the newest 2 are kept, encrypted; last none yet") !=
        std::string::npos);
  CHECK(hours.answer({"status", "a"}).at("snapshotSchedule").at("keep") == 2);
  CHECK(hours.answer({"list"}).at("clusters").at(0).at("snapshotSchedule").at("every") == "1h");

  for (int times = 0; times < 2; ++times) {
    REQUIRE(world.run({"snapshot", "schedule", "a", "--off"}) == 0);
    CHECK_FALSE(world.things.has("snapshots", "a"));
    CHECK_FALSE(world.things.has("snapshots-unit", "a"));
  }
  CHECK(hours.answer({"status", "a"}).at("snapshotSchedule").is_null());
  CHECK(hours.run(3) == 60s);  // a process that was late to hear of it
}

TEST_CASE("a schedule ends and begins with its cluster, and nothing is left of it") {
  const std::string mode = GENERATE(as<std::string>(), "all-in-one", "sqlite");
  World world;
  REQUIRE(world.run({"create", "a", "--mode", mode}) == 0);
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "6h"}) == 0);
  const auto runs = [&] {
    return world.things.has("snapshots", "a") && world.things.has("snapshots-unit", "a");
  };
  CHECK(runs());
  REQUIRE(world.run({"restart", "a"}) == 0);
  CHECK(runs());
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK_FALSE(world.things.has("snapshots", "a"));
  CHECK_FALSE(world.things.has("snapshots-unit", "a"));
  // Of a stopped one it is changed, and begins with the cluster.
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "3h"}) == 0);
  CHECK_FALSE(world.things.has("snapshots", "a"));
  REQUIRE(world.run({"list"}) == 0);
  CHECK(world.out.str().find("every 3h, not running") != std::string::npos);
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(runs());
  // Killed, where no init starts it again.
  world.things.remove("snapshots", "a");
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(world.err.str().find("What takes the cluster's snapshots has ended") != std::string::npos);
  CHECK(runs());
  world.things.remove("snapshots", "a");
  REQUIRE(world.run({"create", "a", "--mode", mode}) == 0);
  CHECK(runs());
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a schedule whose process does not come up is not recorded") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  world.faults.by_call["start-timed"] = "it does not";
  CHECK(world.run({"snapshot", "schedule", "a", "--every", "6h"}) == 1);
  world.faults.by_call.clear();
  REQUIRE(world.run({"snapshot", "schedule", "a"}) == 0);
  CHECK(world.out.str().find("No snapshots of \"a\" are taken by themselves") != std::string::npos);
  CHECK_FALSE(world.things.has("snapshots-unit", "a"));
}

TEST_CASE("snapshots come by the interval, and the oldest of those that came by themselves go") {
  Hours hours;
  REQUIRE(hours.world.run({"snapshot", "create", "a", "--note", "mine"}) == 0);
  REQUIRE(hours.world.run({"snapshot", "schedule", "a", "--every", "1h", "--keep", "3"}) == 0);
  CHECK(hours.run() == 1h);
  CHECK(hours.world.out.str().find(
            "2027-01-15T08:00:00Z snapshot 20270115-080000-scheduled: 7 objects at revision 100") == 0);
  CHECK(hours.run() == 1h);  // nothing is due
  CHECK(hours.world.out.str().empty());
  CHECK(hours.scheduled() == 1);
  CHECK(hours.shown().at("lastId") == "20270115-080000-scheduled");
  CHECK(hours.shown().at("nextAt") == "2027-01-15T09:00:00Z");
  for (int hour = 1; hour < 6; ++hour) {
    hours.clock.advance(1h);
    CHECK(hours.run() == 1h);
    CHECK(hours.scheduled() == std::min<std::size_t>(3, static_cast<std::size_t>(hour) + 1));
  }
  CHECK(hours.ids() == std::vector<std::string>{"20270115-080000", "20270115-110000-scheduled",
                                                "20270115-120000-scheduled", "20270115-130000-scheduled"});
  // A night's sleep makes one of it.
  hours.clock.advance(9h + 10min);
  CHECK(hours.run() == 1h);
  CHECK(hours.ids().back() == "20270115-221000-scheduled");
  REQUIRE(hours.world.run({"snapshot", "list", "a"}) == 0);
  CHECK(hours.world.out.str().find("20270115-221000-scheduled a ") != std::string::npos);
}

TEST_CASE("a scheduled snapshot is taken by hand, or by another timer, with a retention of its own") {
  Hours hours;
  World& world = hours.world;
  REQUIRE(world.run({"snapshot", "a"}) == 0);
  for (int times = 0; times < 3; ++times) {
    hours.clock.advance(1h);
    REQUIRE(world.run({"snapshot", "create", "a", "--scheduled", "--keep", "2"}) == 0);
  }
  CHECK(hours.scheduled() == 2);
  CHECK(hours.ids().size() == 3);
  const std::string id = hours.ids().back();
  const std::string file = (world.folder.path / "exported").string();
  CHECK(hours.answer({"snapshot", "inspect", "a", "--id", id}).at("snapshot").at("scheduled") == true);
  REQUIRE(world.run({"snapshot", "export", "a", "--id", id, "--file", file}) == 0);
  REQUIRE(world.run({"snapshot", "delete", "a", "--id", id, "--yes"}) == 0);
  // Whoever takes one in wants to keep it.
  REQUIRE(world.run({"snapshot", "import", "--file", file}) == 0);
  CHECK(hours.scheduled() == 1);
  CHECK(hours.ids().size() == 3);
}

TEST_CASE("encrypted snapshots are told apart and removed without their passphrase") {
  Hours hours;
  World& world = hours.world;
  const fs::path passphrase = world.folder.path / "passphrase";
  std::ofstream(passphrase) << "open sesame\n";
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1h", "--keep", "1", "--passphrase-file",
                     passphrase.string()}) == 0);
  CHECK(hours.run() == 1h);
  hours.clock.advance(1h);
  std::ofstream(passphrase) << "another\n";  // read each time
  CHECK(hours.run() == 1h);
  CHECK(hours.ids() == std::vector<std::string>{"20270115-090000-scheduled"});
  CHECK(world.run(
            {"snapshot", "inspect", "--id", hours.ids()[0], "--passphrase-file", passphrase.string()}) == 0);
  hours.clock.advance(1h);
  fs::remove(passphrase);
  CHECK(hours.run() == 60s);
  CHECK(hours.shown().at("failure").at("id") == "BadRequest");
  CHECK(hours.ids().size() == 1);
}

TEST_CASE("what fails is told, and tried again without haste") {
  Hours hours;
  World& world = hours.world;
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1h"}) == 0);
  world.store->broken = "no space left on the disk";
  world.store->broken_id = "NoSpace";
  CHECK(hours.run() == 60s);
  CHECK(world.out.str() ==
        "2027-01-15T08:00:00Z failed [NoSpace]: no space left on the disk; tried again at "
        "2027-01-15T08:01:00Z\n");
  // A supervisor that starts it sooner gets no more.
  hours.clock.advance(10s);
  CHECK(hours.run() == 50s);
  CHECK(world.out.str().empty());
  hours.clock.advance(50s);
  CHECK(hours.run() == 2min);
  REQUIRE(world.run({"status", "a"}) == 0);
  CHECK(
      world.out.str().find("no space left on the disk (2027-01-15T08:01:00Z, 2 times in a row) [NoSpace]") !=
      std::string::npos);
  REQUIRE(world.run({"list"}) == 0);
  CHECK(world.out.str().find("failed") != std::string::npos);
  CHECK(hours.shown().at("failures") == 2);
  CHECK(hours.scheduled() == 0);
  world.store->broken.clear();
  hours.clock.advance(2min);
  CHECK(hours.run() == 1h);
  CHECK(hours.shown().at("failures") == 0);
  CHECK(hours.shown().at("failure").is_null());
}

TEST_CASE("a cluster that does not run is skipped") {
  Hours hours;
  World& world = hours.world;
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1h"}) == 0);
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK(hours.run() == 1h);
  CHECK(world.out.str().find("skipped: the cluster is stopped") != std::string::npos);
  CHECK(hours.scheduled() == 0);
  CHECK(hours.shown().at("failures") == 0);
}

TEST_CASE("a process that is told to end leaves the turn to the next one") {
  Hours hours;
  World& world = hours.world;
  REQUIRE(world.run({"snapshot", "schedule", "a", "--every", "1h"}) == 0);
  int asked = 0;
  world.is_interrupted = [&] { return ++asked > 1; };
  (void)hours.run(130);
  CHECK(hours.scheduled() == 0);
  world.is_interrupted = [] { return false; };
  CHECK(hours.run() == 1h);
  CHECK(hours.scheduled() == 1);
}

TEST_CASE("a clock that goes back leaves the newest snapshots, and takes one, not many") {
  Hours hours;
  REQUIRE(hours.world.run({"snapshot", "schedule", "a", "--every", "1h", "--keep", "2"}) == 0);
  hours.clock.advance(240h);
  CHECK(hours.run() == 1h);
  hours.clock.advance(1h);
  CHECK(hours.run() == 1h);
  const auto ahead = hours.ids();
  hours.clock.advance(-240h);
  CHECK(hours.run() == 1h);
  CHECK(hours.run() == 1h);
  CHECK(hours.world.out.str().empty());
  CHECK(hours.ids() == std::vector<std::string>{"20270115-090000-scheduled", ahead[1]});
  hours.clock.advance(1h);
  CHECK(hours.run() == 1h);
  // What was taken since, not what lies ahead.
  CHECK(hours.ids() == std::vector<std::string>{"20270115-090000-scheduled", "20270115-100000-scheduled"});
}

TEST_CASE("a clone of a cluster with a schedule has none") {
  Hours hours;
  REQUIRE(hours.world.run({"snapshot", "schedule", "a", "--every", "1h"}) == 0);
  (void)hours.run();
  REQUIRE(hours.world.run({"clone", "b", "--from", hours.ids()[0]}) == 0);
  CHECK(hours.answer({"snapshot", "schedule", "b"}).at("schedule").is_null());
  CHECK_FALSE(hours.world.things.has("snapshots", "b"));
}

TEST_CASE("doctor says whether a schedule works, and what to do") {
  doctor::ClusterFacts facts{.name = "a", .phase = "running", .is_running = true};
  const auto finding = [&]() -> std::optional<doctor::Finding> {
    for (const doctor::Finding& one : doctor::check_cluster(facts, noon))
      if (one.what == "snapshots") return one;
    return std::nullopt;
  };
  CHECK_FALSE(finding().has_value());
  facts.schedule =
      ScheduleLook{.schedule = hourly, .is_kept = true, .last_id = {}, .memory = {}, .log_file = {}};
  facts.schedule->next_at = noon;
  CHECK(finding()->level == doctor::Level::ok);
  CHECK(finding()->finding == "every 1h, the newest 3 are kept; last none yet, next 2027-01-15T08:00:00Z");
  facts.schedule->is_kept = false;
  CHECK(finding()->level == doctor::Level::warning);
  CHECK(finding()->fix == "rusternetes-ctl start a");
  facts.is_running = false;  // it does not run, nor should it
  CHECK(finding()->level == doctor::Level::ok);
  facts.schedule->memory = {
      .tried_at = noon, .failures = 1, .failure_id = "NoSpace", .failure = "the disk is full"};
  CHECK(finding()->level == doctor::Level::warning);
  CHECK(finding()->finding == "the disk is full (2027-01-15T08:00:00Z) [NoSpace]");
}
