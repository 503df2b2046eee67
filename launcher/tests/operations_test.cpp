// What stop, start and status do with Pods, ports, cgroups and a Podman of the cluster's own, and what create
// and delete do with the kubeconfig of the user.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <thread>

#include "launcher/adapters/cgroups.h"
#include "launcher/progress.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

boost::json::value json_of(const World& world) { return boost::json::parse(world.out.str()); }

}  // namespace

TEST_CASE("stop gives every Pod its own grace period, sidecars go after the rest of theirs, and the holder goes last") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  for (const char* name : {"a.slow.main", "a.slow.more", "a.slow.one", "a.slow.two", "a.slow.pause", "a.holder"})
    world.things.add("container", name, "running");
  world.things.add("container", "a.gone.main", "exited");
  world.engine.grace = {{"a.pause", seconds(2)}, {"a.slow.pause", seconds(90)}};
  world.engine.sidecars = {{"a.slow.pause", {"one", "ended", "two"}}};
  REQUIRE(world.run({"stop", "a"}) == 0);
  using Groups = std::vector<std::vector<std::string>>;
  const auto& stopped = world.engine.stopped;
  REQUIRE(stopped.size() == 3);
  CHECK(stopped[0].groups == Groups{{"a.app"}});
  CHECK(stopped[0].sandboxes == std::vector<std::string>{"a.pause"});
  CHECK(stopped[0].grace == seconds(2));
  CHECK(stopped[1].groups == Groups{{"a.slow.main", "a.slow.more"}, {"a.slow.two"}, {"a.slow.one"}});
  CHECK(stopped[1].grace == seconds(90));
  CHECK(stopped[2].groups.empty());
  CHECK(stopped[2].sandboxes == std::vector<std::string>{"a.holder"});
}

TEST_CASE("neither stop nor delete leaves the cluster's cgroups") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.things.has("cgroup", "a"));
  SECTION("stop") {
    REQUIRE(world.run({"stop", "a"}) == 0);
    CHECK_FALSE(world.things.has("cgroup", "a"));
  }
  SECTION("delete") {
    REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
    world.check_nothing_is_left();
  }
}

TEST_CASE("groups are removed in every hierarchy, with all below them and nothing beside them") {
  TemporaryFolder folder;
  for (const char* group :
       {"rusternetes-a", "memory/rusternetes-a/kubepods/pod1/conmon", "memory/rusternetes-ab/kubepods",
        "unified/rusternetes_a.slice/rusternetes_a-kubepods.slice", "memory/kubepods"})
    fs::create_directories(folder.path / group);
  fs::create_directory_symlink(folder.path / "memory", folder.path / "alias");
  CgroupRemoval wanted{.groups = cgroups_of("a"), .mount = folder.path};
  REQUIRE(launcher::remove_cgroups(wanted));
  CHECK(fs::exists(folder.path / "memory/rusternetes-ab/kubepods"));
  CHECK(fs::exists(folder.path / "memory/kubepods"));
  for (const char* group : {"rusternetes-a", "memory/rusternetes-a", "unified/rusternetes_a.slice"})
    CHECK_FALSE(fs::exists(folder.path / group));
  CHECK(launcher::remove_cgroups(wanted));  // nothing is there
  // One that cannot be removed (here for a file in it) is an error only if it must go.
  fs::create_directories(folder.path / "memory/rusternetes-a");
  std::ofstream(folder.path / "memory/rusternetes-a/cgroup.procs") << "";
  wanted.patience = milliseconds(20);
  CHECK(launcher::remove_cgroups(wanted));
  wanted.must_end = true;
  wanted.kill_patience = milliseconds(20);
  CHECK(contains(launcher::remove_cgroups(wanted).error().message, "memory/rusternetes-a"));
}

TEST_CASE("a Ready that the node had said before the process started does not count") {
  World world;
  world.process.started_at = Clock::system().now() - seconds(60);
  world.http.heartbeat = "2026-01-01T00:00:00Z";
  REQUIRE(world.run({"create", "a", "--wait", "50ms"}) == 9);
  CHECK(contains(world.err.str(), "has said nothing since rusternetes started"));
  CHECK(world.run({"status", "a"}) == 9);
  world.http.heartbeat = "2100-01-01T00:00:00Z";
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("within the second of the start the lease tells whether the node's Ready is of this process") {
  World world;
  const auto second = std::chrono::floor<seconds>(Clock::system().now()) - seconds(60);
  world.process.started_at = second + milliseconds(500);
  const std::time_t time = std::chrono::system_clock::to_time_t(second);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", ::gmtime(&time));
  world.http.heartbeat = std::string(text) + "Z";
  world.http.renew_time = std::string(text) + ".400000Z";
  REQUIRE(world.run({"create", "a", "--wait", "50ms"}) == 9);
  world.http.renew_time = std::string(text) + ".600000Z";
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("a clock that was set back does not make a running cluster unready for ever") {
  World world;
  world.process.started_at = Clock::system().now() + seconds(3600);
  world.http.heartbeat = "2026-01-01T00:00:00Z";
  CHECK(world.run({"create", "a", "--wait", "50ms"}) == 0);
}

TEST_CASE("published ports go to the network and the process, and belong to one cluster") {
  World world;
  REQUIRE(world.run({"create", "a", "--publish", "8080:30080", "--publish", "6443:80"}) == 0);
  CHECK(world.things.text("link", "a") == "8080:30080,6443:80");
  const auto& words = world.process.commands["a"];
  CHECK(std::count(words.begin(), words.end(), "--publish") == 2);
  const auto first = std::find(words.begin(), words.end(), "--publish");
  REQUIRE(first != words.end());
  CHECK(*(first + 1) == "8080:30080");
  REQUIRE(world.run({"status", "a", "--output", "json"}) == 0);
  CHECK(json_of(world).at("publishedPorts").at(1) == "6443:80");
  CHECK(json_of(world).at("server") == "https://127.0.0.1:6444");  // 6443 is published
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK(world.run({"create", "b", "--publish", "8080:30090"}) == 6);
  CHECK(contains(world.err.str(), "--publish 8080: the port belongs to cluster \"a\""));
  CHECK(world.run({"create", "b", "--publish", "6444:30090"}) == 6);  // a's api-server
  CHECK(world.run({"create", "b", "--api-port", "8080"}) == 6);
  world.host.ports_in_use = {9090};
  CHECK(world.run({"create", "b", "--publish", "9090:30090"}) == 6);
  CHECK(contains(world.err.str(), "--publish 9090: the port is in use on this host"));
  world.host.ports_in_use = {8080};
  CHECK(world.run({"start", "a"}) == 6);
  CHECK(contains(world.err.str(), "port 8080 of cluster \"a\" is in use"));
  world.host.ports_in_use.clear();
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(world.things.text("link", "a") == "8080:30080,6443:80");
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  REQUIRE(world.run({"create", "b", "--publish", "8080:30090"}) == 0);
}

TEST_CASE("a Podman of the cluster's own that ended is told by status and started again by start") {
  World world;
  world.engine.running.clear();
  REQUIRE(world.run({"create", "a"}) == 0);
  world.things.remove("engine", "a");
  CHECK(world.run({"status", "a"}) == 9);
  CHECK(contains(world.err.str(), "[EngineStopped]"));
  CHECK(contains(world.out.str(), "which does not answer"));
  SECTION("start") {
    REQUIRE(world.run({"start", "a"}) == 0);
    CHECK(world.things.has("engine", "a"));
    CHECK(world.run({"status", "a"}) == 0);
  }
  SECTION("stop needs it, too") {
    REQUIRE(world.run({"stop", "a"}) == 0);
    CHECK(world.things.text("container", "a.app") == "exited");
    CHECK_FALSE(world.things.has("engine", "a"));
  }
  SECTION("delete") {
    REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
    world.check_nothing_is_left();
  }
  SECTION("an image can be loaded") {
    std::ofstream(world.folder.path / "x.tar") << "file:1";
    REQUIRE(world.run({"image", "load", "a", "--archive", (world.folder.path / "x.tar").string()}) == 0);
    CHECK(world.things.has("engine", "a"));
  }
}

TEST_CASE("list tells a cluster whose process has ended from one that runs") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"list"}) == 0);
  CHECK(contains(world.out.str(), " running "));
  world.things.remove("process", "a");
  REQUIRE(world.run({"list", "--output", "json"}) == 0);
  CHECK(json_of(world).at("clusters").at(0).at("status") == "ended");
}

TEST_CASE("a step that takes over a tick says that it is under way, and how far it is") {
  // Written to under the lock of the progress, which note() takes too.
  struct Screen : std::stringbuf {
    std::atomic<int> writes = 0;
    int sync() override { return ++writes, 0; }
  };
  Screen plain_screen, terminal_screen;
  std::ostream plain(&plain_screen), terminal(&terminal_screen);
  const auto let_tick = [](Screen& screen, int writes) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (screen.writes < writes && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(milliseconds(1));
  };
  {
    Progress one(plain, false, Clock::system(), milliseconds(5));
    one.begin("Wait");
    one.detail("1 of 2");
    let_tick(plain_screen, 1);
    one.done();
    Progress two(terminal, true, Clock::system(), milliseconds(5));
    two.begin("Wait");
    two.detail("1 of 2");
    let_tick(terminal_screen, 4);
    two.failed();
  }
  CHECK(plain_screen.str().starts_with("Wait ...: 1 of 2\nWait: done ("));  // once, not with every tick
  CHECK(contains(terminal_screen.str(), "\r\x1b[K • Wait (0 s): 1 of 2"));
  CHECK(contains(terminal_screen.str(), " ✗ Wait ("));
}

TEST_CASE("a kubeconfig that is none is told before a cluster is made") {
  World world;
  fs::create_directories(world.kubeconfig().parent_path());
  std::string was = "clusters: [";
  SECTION("not YAML") { std::ofstream(world.kubeconfig()) << was; }
  SECTION("another document") { std::ofstream(world.kubeconfig()) << (was = "clusters: 7\n"); }
  CHECK(world.run({"create", "a"}) == 10);
  CHECK(contains(world.err.str(), "[KubeconfigBroken]"));
  CHECK(contains(world.err.str(), world.kubeconfig().string()));
  CHECK(world.things.all().empty());
  CHECK_FALSE(fs::exists(world.home()));
  CHECK(certs::read_text(world.kubeconfig()).value() == was);
}

TEST_CASE(
    "a kubeconfig that broke keeps delete from nothing but its own entry, which the next command takes out") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  const std::string merged = certs::read_text(world.kubeconfig()).value();
  std::ofstream(world.kubeconfig()) << merged << "  - [\n";
  // Once more changes nothing, and leaves no second plan behind.
  for (int i = 0; i < 2; ++i) {
    CHECK(world.run({"delete", "a", "--yes"}) == 10);
    CHECK(contains(world.err.str(), "[KubeconfigBroken]"));
    CHECK(contains(world.err.str(), "everything of cluster \"a\" is deleted but its context"));
    CHECK(world.things.all().empty());
    CHECK_FALSE(fs::exists(world.home() / "clusters"));
  }
  std::ofstream(world.kubeconfig()) << merged;
  CHECK(world.run({"list"}) == 0);
  CHECK(contains(world.err.str(), "The delete of \"a\" is finished."));
  CHECK(world.err.str().find("finished.") == world.err.str().rfind("finished."));
  world.check_nothing_is_left();
}

TEST_CASE("whose kubeconfig was open to others is told so by create") {
  World world;
  fs::create_directories(world.kubeconfig().parent_path());
  std::ofstream(world.kubeconfig()) << "apiVersion: v1\nkind: Config\n";
  fs::permissions(world.kubeconfig(), fs::perms(0644));
  REQUIRE(world.run({"create", "a"}) == 0);
  CHECK(contains(world.err.str(), "was 0644 and is 0600 now"));
  CHECK(fs::status(world.kubeconfig()).permissions() == fs::perms(0600));
  fs::permissions(world.kubeconfig(), fs::perms(0604));
  REQUIRE(world.run({"kubeconfig", "merge", "a"}) == 0);
  CHECK(contains(world.err.str(), "was 0604 and is 0600 now"));
}
