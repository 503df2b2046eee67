// upgrade and rollback: what a cluster runs, in which order it comes to run something else, and what a failure or a
// kill in the middle leaves.
#include "crash.h"
#include "launcher/release.h"
#include "launcher/snapshots.h"
#include "support/share.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

const std::string first = "0.1.0", second = "0.2.0";

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

ClusterSettings settings_of(World& world) {
  auto state = state::State::open(world.home() / "state.db", false);
  return settings_from_json((*state)->find("a").value()->settings).value();
}

// The release of every component's image, or of the process's program.
std::set<std::string> releases(const World& world) {
  std::set<std::string> out;
  for (const std::string& name : world.things.names("made-of")) {
    const std::string image = world.things.text("made-of", name);
    if (!contains(name, ".node-")) out.insert(image.substr(image.rfind(':') + 1));
  }
  for (const std::string& name : world.things.names("runs")) {
    const fs::path program = world.things.text("runs", name);
    const std::string folder = program.parent_path().filename();
    const std::string release = folder.substr(0, folder.rfind('-'));
    CHECK(certs::read_text(program).value() == "rusternetes " + release + "\n");
    out.insert(release);
  }
  return out;
}
std::set<std::string> only(const std::string& release) { return {release}; }

// Of SQLite: of the one process, or of rhino.
fs::path store_file(const World& world) {
  const fs::path data = world.home() / "clusters/a/data";
  return (fs::exists(data / "rhino") ? data / "rhino" : data) / "store.db";
}
void write_store(const World& world, const std::string& text) { std::ofstream(store_file(world)) << text << "\n"; }
std::string store_text(const World& world) {
  const std::string text = certs::read_text(store_file(world)).value();
  return text.substr(0, text.find('\n'));
}

void delete_all(World& world) {
  REQUIRE(world.run({"delete", "--all", "--snapshots", "--yes"}) == 0);
  world.check_nothing_is_left();
}

}  // namespace

TEST_CASE("releases are ordered by their numbers") {
  CHECK(compare_releases("0.9.0", "0.10.0") < 0);
  CHECK(compare_releases("1.0.0", "0.10.9") > 0);
  CHECK(compare_releases("0.1.0", "0.1.0") == 0);
  CHECK(compare_releases("0.1", "0.1") == 0);
  CHECK(compare_releases("0.1", "0.2.0") != 0);
  CHECK(kubernetes_minor("v1.35") == 35);
  CHECK(kubernetes_minor("v1.35.4") == 35);
  CHECK_FALSE(kubernetes_minor("1.35"));
}

TEST_CASE("one process comes to run another program, and back") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a"}) == 0);
  CHECK(releases(world) == only(first));
  const fs::path programs = world.home() / "clusters/a/programs";
  world.set_release(second);
  // Until it is told to, it runs what it was made with.
  REQUIRE(world.run({"restart", "a"}) == 0);
  REQUIRE(world.run({"stop", "a"}) == 0);
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(releases(world) == only(first));
  CHECK(world.run({"port", "add", "a", "--publish", "8080:30080"}) == 2);
  CHECK(contains(world.err.str(), "[ReleaseDiffers]"));

  write_store(world, "100 7 first");
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  CHECK(contains(world.out.str(), "runs 0.2.0"));
  CHECK(releases(world) == only(second));
  const ClusterSettings now = settings_of(world);
  REQUIRE(now.previous);
  CHECK(now.previous->release == first);
  REQUIRE(known_snapshots(Home{world.home()}, "a").value().size() == 1);
  CHECK(known_snapshots(Home{world.home()}, "a").value().front().id == now.previous->snapshot);
  CHECK(std::distance(fs::directory_iterator(programs), fs::directory_iterator()) == 2);
  REQUIRE(world.run({"list"}) == 0);
  CHECK(contains(world.out.str(), second));
  REQUIRE(world.run({"port", "add", "a", "--publish", "8080:30080"}) == 0);
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  CHECK(contains(world.out.str(), "runs 0.2.0 already"));
  // The command of before does not have the port.
  CHECK(world.run({"rollback", "a", "--yes"}) == 2);
  CHECK(contains(world.err.str(), "[ReleaseDiffers]"));
  REQUIRE(world.run({"port", "remove", "a", "--publish", "8080:30080"}) == 0);

  write_store(world, "160 9 second");
  world.http.revision = "160";
  world.is_input_terminal = false;
  CHECK(world.run({"rollback", "a"}) == 2);
  CHECK(contains(world.err.str(), "[ConfirmationRequired]"));
  REQUIRE(world.run({"rollback", "a", "--yes"}) == 0);
  CHECK(releases(world) == only(first));
  CHECK(store_text(world) == "160 9 second");
  CHECK(std::distance(fs::directory_iterator(programs), fs::directory_iterator()) == 1);
  CHECK(world.run({"rollback", "a", "--yes"}) == 3);
  CHECK(contains(world.err.str(), "[NoPreviousRelease]"));
  delete_all(world);
}

TEST_CASE("a rollback that fails leaves the program that it was to go back to, and another one is not taken for it") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a"}) == 0);
  write_store(world, "100 7 first");
  world.set_release(second);
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  const fs::path before = settings_of(world).previous->program;
  world.faults.once["restart"] = "it does not come up";
  CHECK(world.run({"rollback", "a", "--yes"}) == 9);
  CHECK(releases(world) == only(second));
  CHECK(fs::exists(before));
  REQUIRE(world.run({"rollback", "a", "--yes"}) == 0);
  CHECK(releases(world) == only(first));
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  fs::remove_all(before.parent_path());
  CHECK(world.run({"rollback", "a", "--yes"}) == 9);
  CHECK(contains(world.err.str(), "the copy of rusternetes 0.1.0 has gone"));
  CHECK(releases(world) == only(second));
  delete_all(world);
}

TEST_CASE("what changed in nodes since an upgrade is not undone by going back") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  write_store(world, "100 7 first");
  world.set_release(second);
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  REQUIRE(world.run({"node", "add", "a"}) == 0);
  CHECK(world.run({"rollback", "a", "--yes"}) == 2);
  CHECK(contains(world.err.str(), "[ReleaseDiffers]"));
  CHECK(releases(world) == only(second));
  // Its own release renders what there is now.
  world.set_release(first);
  REQUIRE(world.run({"rollback", "a", "--yes"}) == 0);
  CHECK(releases(world) == only(first));
  CHECK(world.things.has("component", "a.node-3"));
  REQUIRE(world.run({"node", "add", "a"}) == 0);
  delete_all(world);
}

TEST_CASE("a clone runs the release that makes it") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a"}) == 0);
  write_store(world, "100 7 first");
  world.set_release(second);
  REQUIRE(world.run({"clone", "b", "--from-cluster", "a"}) == 0);
  CHECK(releases(world) == std::set<std::string>{first, second});
  world.set_release("0.3.0");
  REQUIRE(world.run({"restart", "b"}) == 0);
  CHECK(releases(world) == std::set<std::string>{first, second});
  delete_all(world);
}

TEST_CASE("a rollback with the data tells how much that drops, and keeps what was") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a"}) == 0);
  write_store(world, "100 7 first");
  world.set_release(second);
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  write_store(world, "160 9 second");
  world.http.revision = "160";
  world.is_input_terminal = true;
  world.in.str("n\n");
  CHECK(world.run({"rollback", "a", "--restore-data"}) == 2);
  CHECK(contains(world.err.str() + world.out.str(), "60 revisions since then are dropped"));
  CHECK(releases(world) == only(second));
  REQUIRE(world.run({"rollback", "a", "--restore-data", "--yes", "--output", "json"}) == 0);
  CHECK(contains(world.out.str(), "\"droppedRevisions\":60"));
  CHECK(releases(world) == only(first));
  CHECK(contains(store_text(world), "first"));
  CHECK(known_snapshots(Home{world.home()}, "a").value().size() == 2);
  delete_all(world);
}

TEST_CASE("components are replaced in the order of the skew policy, one at a time, and back the other way") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a", "--ha"}) == 0);
  const auto nodes = world.engine.starts;
  world.store->etcd_file = world.folder.path / "etcd";
  std::ofstream(world.store->etcd_file) << "100 7 first\n";
  world.set_release(second);
  world.engine.replaced.clear();
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  CHECK(world.engine.replaced ==
        Words{"etcd-1", "etcd-2", "etcd-3", "api-proxy", "api-server-1", "api-server-2", "api-server-3",
              "controller-manager-1", "controller-manager-2", "scheduler-1", "scheduler-2", "kubelet-1", "kubelet-2",
              "kube-proxy-1", "kube-proxy-2", "dns-1", "dns-2", "host-agent"});
  CHECK(releases(world) == only(second));
  CHECK(world.engine.starts.at("node-1") == nodes.at("node-1"));  // Pods run on
  CHECK_FALSE(world.things.has("component", "a.api-proxy-leaving"));
  world.engine.replaced.clear();
  REQUIRE(world.run({"rollback", "a", "--yes"}) == 0);
  CHECK(world.engine.replaced ==
        Words{"host-agent", "dns-1", "dns-2", "kube-proxy-1", "kube-proxy-2", "kubelet-1", "kubelet-2", "scheduler-1",
              "scheduler-2", "controller-manager-1", "controller-manager-2", "api-proxy", "api-server-1",
              "api-server-2", "api-server-3", "etcd-1", "etcd-2", "etcd-3"});
  CHECK(releases(world) == only(first));
  delete_all(world);
}

TEST_CASE("an upgrade that fails half way is taken back by itself") {
  for (const char* failing : {"bring-up scheduler", "restart"}) {
    World world;
    world.set_release(first);
    const bool is_process = std::string(failing) == "restart";
    REQUIRE(world.run({"create", "a", "--mode", is_process ? "all-in-one" : "sqlite"}) == 0);
    write_store(world, "100 7 first");
    const auto before = settings_of(world);
    world.set_release(second);
    world.faults.once[failing] = "it does not come up";
    CHECK(world.run({"upgrade", "a"}) == 9);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), "was taken back: it does not come up. Cluster \"a\" runs 0.1.0 again"));
    CHECK(contains(world.err.str(), "[UpgradeFailed]"));
    CHECK(releases(world) == only(first));
    CHECK(to_json(settings_of(world)) == to_json(before));
    CHECK_FALSE(world.things.has("component", "a.api-proxy-leaving"));
    for (const std::string& image : world.things.names("image-podman")) CHECK_FALSE(image.ends_with(second));
    REQUIRE(world.run({"upgrade", "a"}) == 0);
    CHECK(releases(world) == only(second));
    delete_all(world);
  }
}

TEST_CASE("what makes an upgrade impossible is said before anything is done") {
  World world;
  world.set_release(second);
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  world.set_release(first);
  CHECK(world.run({"upgrade", "a"}) == 2);
  CHECK(contains(world.err.str(), "[ReleaseOlder]"));
  world.set_release("0.3.0");
  world.http.sick["10257"] = 500;
  CHECK(world.run({"upgrade", "a"}) == 9);
  CHECK(contains(world.err.str(), "controller-manager"));
  CHECK(contains(world.err.str(), "nothing was changed"));
  world.http.sick.clear();
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK(world.run({"upgrade", "a"}) == 9);
  CHECK(contains(world.err.str(), "[ClusterStopped]"));
  CHECK(known_snapshots(Home{world.home()}, "a").value().empty());
  delete_all(world);
}

TEST_CASE("another release's manifest stays as it is through stop, start and restart") {
  World world;
  world.set_release(first);
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  write_store(world, "100 7 first");
  const fs::path manifest = world.home() / "clusters/a/compose.yaml";
  // As an older release would have rendered it.
  const std::string text = certs::read_text(manifest).value() + "# of before\n";
  std::ofstream(manifest) << text;
  world.set_release(second);
  for (const char* word : {"restart", "stop", "start"}) REQUIRE(world.run({word, "a"}) == 0);
  CHECK(certs::read_text(manifest).value() == text);
  CHECK(releases(world) == only(first));
  REQUIRE(world.run({"upgrade", "a"}) == 0);
  CHECK_FALSE(contains(certs::read_text(manifest).value(), "of before"));
  // Back, by the later release: what it was made of is there yet.
  REQUIRE(world.run({"rollback", "a", "--yes"}) == 0);
  CHECK(certs::read_text(manifest).value() == text);
  REQUIRE(world.run({"restart", "a"}) == 0);
  CHECK(certs::read_text(manifest).value() == text);
  delete_all(world);
}

namespace {

// Walks all points of `words`; the next command leaves one release everywhere, and the command can be repeated.
void walk(const Words& create, const Words& words, const std::string& before, const std::string& after,
          bool is_upgraded_first) {
  std::map<std::string, int> verdicts;
  const int pace = stride(4);
  for (int n = 1 + static_cast<int>(rusternetes::testing::seed()) % pace;; n += pace) {
    World world;
    world.set_release(first);
    REQUIRE(world.run(create) == 0);
    write_store(world, "100 7 first");
    world.set_release(second);
    if (is_upgraded_first) REQUIRE(world.run({"upgrade", "a"}) == 0);
    if (!crashes_at(world, words, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list"}) == 0);
    // The snapshot before it is a plan of its own.
    const std::string said = contains(world.err.str(), "The " + words.front() + " of") ? verdict(world) : "";
    ++verdicts[said];
    if (said == "finished") CHECK(releases(world) == only(after));
    if (said == "undone") CHECK(releases(world) == only(before));
    CHECK(releases(world).size() == 1);
    CHECK(settings_of(world).release == *releases(world).begin());
    CHECK_FALSE(world.things.has("component", "a.api-proxy-leaving"));
    CHECK_FALSE(fs::exists(world.home() / "clusters/a/run/images.tar"));
    CHECK(world.run({"status", "a"}) == 0);
    if (releases(world) == only(before)) {
      const int code = world.run(words);
      INFO(world.err.str());
      REQUIRE(code == 0);
      CHECK(releases(world) == only(after));
    }
    delete_all(world);
  }
  CHECK(verdicts["undone"] > 0);
}

}  // namespace

TEST_CASE("an upgrade of one process killed anywhere is finished or taken back by the next command") {
  walk({"create", "a"}, {"upgrade", "a"}, first, second, false);
}
TEST_CASE("an upgrade of containers killed anywhere is finished or taken back by the next command") {
  walk({"create", "a", "--mode", "sqlite"}, {"upgrade", "a"}, first, second, false);
}
TEST_CASE("a rollback killed anywhere is finished or taken back by the next command") {
  walk({"create", "a"}, {"rollback", "a", "--yes"}, second, first, true);
  walk({"create", "a"}, {"rollback", "a", "--restore-data", "--yes"}, second, first, true);
  walk({"create", "a", "--mode", "sqlite"}, {"rollback", "a", "--yes"}, second, first, true);
}
