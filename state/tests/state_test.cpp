#include "state/state.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <sstream>

#include "state/lock.h"
#include "state/pools.h"

using namespace rusternetes;
using namespace rusternetes::state;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "state-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

std::string bytes_of(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

Cluster cluster(const std::string& name) { return {name, "all-in-one", "podman", "creating", "{}", 1}; }
Range range(const char* text) { return Range::parse(text).value(); }

}  // namespace

TEST_CASE("clusters and reservations are found again after a reopen") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "state.db";
  CHECK(State::open(path, false).error().is("NotFound"));
  {
    auto state = State::open(path, true).value();
    REQUIRE(state->record(cluster("b"), {{"", "api-port", "6444"}}).has_value());
    REQUIRE(state->record(cluster("a"), {{"", "api-port", "6443"}, {"", "pod-cidr", "10.244.0.0/16"}})
                .has_value());
    REQUIRE(state->set_phase("a", "running").has_value());
  }
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto state = State::open(path, false).value();
  const auto all = state->clusters().value();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "a");
  CHECK(all[0].phase == "running");
  CHECK(state->reservations().value().size() == 3);
  REQUIRE(state->forget("a").has_value());
  REQUIRE(state->forget("a").has_value());
  CHECK_FALSE(state->find("a").value().has_value());
  CHECK(state->reservations().value().size() == 1);
}

TEST_CASE("what another cluster holds is a conflict and changes nothing") {
  TemporaryFolder folder;
  auto state = State::open(folder.path / "state.db", true).value();
  REQUIRE(state->record(cluster("a"), {{"", "api-port", "6443"}}).has_value());
  const auto result =
      state->record(cluster("b"), {{"", "pod-cidr", "10.0.0.0/16"}, {"", "api-port", "6443"}});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().is("Conflict"));
  CHECK(result.error().message.find("\"a\"") != std::string::npos);
  CHECK_FALSE(state->find("b").value().has_value());
  CHECK(state->reservations().value().size() == 1);
  CHECK(state->record(cluster("a"), {{"", "api-port", "6443"}}).has_value());
}

TEST_CASE("a foreign, newer or damaged file is refused in one sentence and left untouched") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "state.db";
  std::string reason;
  SECTION("text") {
    std::ofstream(path) << std::string(5000, 'x');
    reason = reason_damaged;
  }
  SECTION("an empty file") {
    std::ofstream(path) << "";
    reason = reason_damaged;
  }
  SECTION("a database of another program") {
    auto other = Database::open(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE).value();
    REQUIRE(other->script("PRAGMA application_id=7; CREATE TABLE clusters(name)").has_value());
    reason = reason_foreign;
  }
  SECTION("a newer format") {
    { auto state = State::open(path, true).value(); }
    auto newer = Database::open(path.string(), SQLITE_OPEN_READWRITE).value();
    REQUIRE(newer->script("PRAGMA journal_mode=DELETE; PRAGMA user_version=2").has_value());
    reason = reason_newer;
  }
  SECTION("torn pages") {
    {
      auto state = State::open(path, true).value();
      for (int i = 0; i < 200; ++i) REQUIRE(state->record(cluster("c" + std::to_string(i)), {}).has_value());
    }
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8192, '\x5a');
    reason = reason_damaged;
  }
  const std::string before = bytes_of(path);
  const auto result = State::open(path, true);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().reason == reason);
  CHECK(result.error().message.find(path.string()) == 0);
  CHECK(result.error().message.find('\n') == std::string::npos);
  CHECK(bytes_of(path) == before);
}

TEST_CASE("the journal shows an unfinished plan with the step it was at") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "state.db";
  std::int64_t plan = 0;
  {
    auto state = State::open(path, true).value();
    plan = state->journal().begin("a", "create", "{\"x\":1}", 10).value();
    REQUIRE(state->journal().applying(plan, 0, "record", 11).has_value());
    REQUIRE(state->journal().applying(plan, 1, "folder", 12).has_value());
  }
  auto state = State::open(path, false).value();
  const auto open_plans = state->journal().unfinished().value();
  REQUIRE(open_plans.size() == 1);
  CHECK(open_plans[0].kind == "create");
  CHECK(open_plans[0].arguments == "{\"x\":1}");
  auto steps = state->journal().steps(plan).value();
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].phase == StepPhase::applied);
  CHECK(steps[1].phase == StepPhase::applying);
  REQUIRE(state->journal().undoing(plan, 1, "folder", 13).has_value());
  REQUIRE(state->journal().undoing(plan, 0, "record", 14).has_value());
  steps = state->journal().steps(plan).value();
  CHECK(steps[0].phase == StepPhase::undoing);
  CHECK(steps[1].phase == StepPhase::undone);
  REQUIRE(state->journal().finish(plan, PlanOutcome::undone, 15).has_value());
  CHECK(state->journal().unfinished().value().empty());
}

TEST_CASE("the journal does not grow without end, and keeps what is unfinished") {
  TemporaryFolder folder;
  auto state = State::open(folder.path / "state.db", true).value();
  const auto stuck = state->journal().begin("z", "delete", "", 0).value();
  REQUIRE(state->journal().applying(stuck, 0, "first", 0).has_value());
  REQUIRE(state->journal().applying(stuck, 1, "second", 0).has_value());
  for (int i = 0; i < 250; ++i) {
    const auto plan = state->journal().begin("a", "start", "", i).value();
    REQUIRE(state->journal().applying(plan, 0, "s", i).has_value());
    REQUIRE(state->journal().finish(plan, PlanOutcome::done, i).has_value());
  }
  CHECK(state->journal().unfinished().value().at(0).id == stuck);
  const auto last = state->journal().last("a", 3).value();
  REQUIRE(last.size() == 3);
  CHECK(last[0].started_at_ms == 249);  // the newest first
  CHECK(last[0].ended_at_ms == 249);
  CHECK(last[0].outcome == "done");
  CHECK(state->journal().last("z", 3).value().at(0).outcome.empty());
  const auto steps = state->journal().steps(stuck).value();
  REQUIRE(steps.size() == 2);  // where it is to be taken up
  CHECK(steps[1].step == "second");
  CHECK(steps[1].phase == StepPhase::applying);
  auto database = Database::open((folder.path / "state.db").string(), SQLITE_OPEN_READONLY).value();
  std::int64_t rows = 0;
  REQUIRE(database->run("SELECT count(*) FROM plans", {}, [&](const Row& row) { rows = row.integer(0); })
              .has_value());
  CHECK(rows == 101);
  REQUIRE(database->run("SELECT count(*) FROM steps", {}, [&](const Row& row) { rows = row.integer(0); })
              .has_value());
  CHECK(rows == 102);
}

TEST_CASE("an acknowledged intent survives a killed writer") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "state.db";
  { auto state = State::open(path, true).value(); }
  for (int round = 0; round < 20; ++round) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto state = State::open(path, false);
      for (int i = 0; state; ++i) {
        auto plan = (*state)->journal().begin("a", "create", std::to_string(i), 0);
        if (!plan || ::write(pipe_ends[1], &*plan, sizeof *plan) < 0) break;
      }
      ::_exit(1);
    }
    ::close(pipe_ends[1]);
    std::int64_t acknowledged = 0;
    for (int i = 0; i <= round; ++i) REQUIRE(::read(pipe_ends[0], &acknowledged, 8) == 8);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (std::int64_t next = 0; ::read(pipe_ends[0], &next, 8) == 8;) acknowledged = next;
    ::close(pipe_ends[0]);
    auto state = State::open(path, false).value();
    CHECK(state->journal().unfinished().value().back().id >= acknowledged);
  }
}

TEST_CASE("blocks of addresses parse strictly, in both families") {
  CHECK(range("10.96.0.0/16").to_string() == "10.96.0.0/16");
  CHECK(range("fd00:10::/64").to_string() == "fd00:10::/64");
  for (const char* bad : {"10.96.0.0", "10.96.0.0/33", "10.96.0.1/16", "x/8", "10.0.0.0/", "10.0.0.0/8x",
                          "::/129", "", "10.0.0.0/-1", "fe80::1%lo/128"})
    CHECK(Range::parse(bad).error().is("BadRequest"));
  CHECK(to_string(parse_ranges("10.0.0.0/8,fd00::/8").value()) == "10.0.0.0/8,fd00::/8");
  CHECK_FALSE(parse_ranges("10.0.0.0/8,11.0.0.0/8").has_value());
  CHECK(range("10.0.0.0/8").overlaps(range("10.255.0.0/16")));
  CHECK(range("10.255.0.0/16").overlaps(range("10.0.0.0/8")));
  CHECK_FALSE(range("10.0.0.0/9").overlaps(range("10.128.0.0/9")));
  CHECK_FALSE(range("0.0.0.0/0").overlaps(range("fd00::/8")));
  CHECK(range("10.213.0.240/28").at(2).to_string() == "10.213.0.242");
  CHECK(range("fd00::/64").at(1).to_string() == "fd00::1");
}

TEST_CASE("the first free block of a pool is chosen, and what the host routes is left alone") {
  const Pool pool = pod_pool(Family::ipv4);
  CHECK(pick_range(pool, {}, {range("0.0.0.0/0")}).value().to_string() == "10.244.0.0/16");
  CHECK(pick_range(pool, {range("10.244.0.0/16")}, {range("10.245.3.0/24")}).value().to_string() ==
        "10.246.0.0/16");
  CHECK(pick_range(pool, {range("10.240.0.0/12")}, {}).value().to_string() == "10.128.0.0/16");
  CHECK(pick_range(pool, {range("10.0.0.0/8")}, {}).error().is("PoolExhausted"));
  CHECK(pick_range(service_pool(Family::ipv4), {}, {}).value().to_string() == "10.96.0.0/16");
  CHECK(pick_range(link_pool(Family::ipv4), {range("10.213.0.0/28")}, {}).value().to_string() ==
        "10.213.0.16/28");
  const Range six = pick_range(pod_pool(Family::ipv6), {}, {}).value();
  CHECK(pick_range(pod_pool(Family::ipv6), {six}, {range("10.0.0.0/8")}).value().overlaps(six) == false);
}

TEST_CASE("the first port that is neither reserved nor in use is chosen") {
  CHECK(pick_port({}, [](auto) { return true; }).value() == 6443);
  CHECK(pick_port({6443, 6445}, [](auto port) { return port != 6444; }).value() == 6446);
  CHECK(pick_port({}, [](auto) { return false; }).error().is("PoolExhausted"));
}

TEST_CASE("a home is locked for one command, and a waiter gets it when the holder ends") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "lock";
  auto first = HomeLock::try_acquire(path).value();
  REQUIRE(first.has_value());
  CHECK_FALSE(HomeLock::try_acquire(path).value().has_value());
  std::promise<std::string> waits;
  auto second = std::async(std::launch::async, [&] {
    return HomeLock::acquire(path, [&](const std::string& holder) { waits.set_value(holder); }).has_value();
  });
  auto told = waits.get_future();
  REQUIRE(told.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK(told.get() == "process " + std::to_string(::getpid()));
  SECTION("released") { first.reset(); }
  SECTION("the file removed with the home") {
    first->remove_file();
    first.reset();
  }
  REQUIRE(second.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK(second.get());
  CHECK(HomeLock::try_acquire(path).value().has_value());
}

TEST_CASE("a killed holder gives the lock up") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "lock";
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto lock = HomeLock::try_acquire(path);
    (void)!::write(pipe_ends[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(pipe_ends[0], &byte, 1) == 1);
  CHECK_FALSE(HomeLock::try_acquire(path).value().has_value());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(HomeLock::try_acquire(path).value().has_value());
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}
