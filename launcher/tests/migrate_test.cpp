// A running cluster's objects go into another store: the commands' way with it, and a kill at every point.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "crash.h"
#include "launcher/containers/topology.h"
#include "launcher/snapshots.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// A running cluster "a" whose store holds "kept", at revision 9.
struct Migratable {
  explicit Migratable(const Words& topology) {
    Words words{"create", "a"};
    words.insert(words.end(), topology.begin(), topology.end());
    const int code = world.run(words);
    INFO(world.err.str());
    REQUIRE(code == 0);
    world.store->etcd_file = world.folder.path / "etcd-says";
    hold("9 4 kept\n");
  }
  fs::path root() const { return world.home() / "clusters/a"; }
  fs::path data() const { return root() / "data"; }
  ClusterSettings settings() const {
    return settings_from_json(
               state::State::open(world.home() / "state.db", false).value()->find("a").value()->settings)
        .value();
  }
  // In the store that it has now.
  void hold(const std::string& text) {
    const bool is_etcd = settings().mode == "etcd";
    const fs::path file = is_etcd ? world.store->etcd_file : data() / "rhino/store.db";
    if (is_etcd)
      for (const Member& one : members_of(settings(), "etcd")) write(data() / one.key / "member", text);
    write(file, text);
  }
  // What is in every store of it that there is.
  std::string held() const {
    std::string out;
    for (const Member& one : members_of(settings()))
      if (is_store(one.component))
        out += certs::read_text(data() / one.key / (one.component == "etcd" ? "member" : "store.db")).value();
    return out;
  }
  int migrate(const Words& flags) {
    Words words{"migrate", "a", "--yes"};
    words.insert(words.end(), flags.begin(), flags.end());
    return world.run(words);
  }
  std::set<std::string> components() const { return world.things.names("component"); }
  // Settings, manifest, engine, folders and certificates are of one and the same.
  void check_is_whole() {
    const ClusterSettings now = settings();
    INFO(now.mode);
    std::set<std::string> keys, stores;
    for (const Member& one : members_of(now)) {
      keys.insert("a." + one.key);
      CHECK(world.things.text("component", "a." + one.key) == "running");
      if (is_store(one.component)) stores.insert(one.key);
    }
    CHECK(components() == keys);
    CHECK(certs::read_text(root() / "compose.yaml").value() ==
          render_manifest(now, ClusterPaths{root()}, now.images));
    std::set<std::string> folders;
    for (const auto& entry : fs::directory_iterator(data())) folders.insert(entry.path().filename());
    CHECK(folders == stores);
    CHECK_FALSE(fs::exists(root() / "migrate"));
    std::set<std::string> images, wanted;
    for (const std::string& one : world.things.names("image-podman")) images.insert(one);
    for (const auto& [component, reference] : now.images) {
      std::string name = reference;
      std::replace(name.begin(), name.end(), '/', '_');
      wanted.insert(name);
    }
    CHECK(images == wanted);
    CHECK(now.images.size() == components_of(now).size());
    std::set<std::string> leaves;
    const auto options = container_pki(now).value();
    for (const auto& leaf : certs::cluster_leaves(options).value()) leaves.insert(leaf.file + ".crt");
    for (const auto& authority : certs::cluster_authorities(options)) leaves.insert(authority.file + ".crt");
    std::set<std::string> files;
    for (const auto& one : certs::expiries(root() / "pki").value()) files.insert(one.file);
    CHECK(files == leaves);
    CHECK(world.things.text("container", "a.app") == "running");
    const int code = world.run({"status", "a"});
    INFO(world.err.str());
    CHECK(code == 0);
    CHECK(world.run({"certs", "check", "a"}) == 0);
  }
  void delete_all() {
    REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
    world.check_nothing_is_left();
  }

  World world;

 private:
  static void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    REQUIRE(certs::write_atomically(file, text, certs::private_mode));
  }
};

struct Way {
  Words from, to;
};

}  // namespace

TEST_CASE("a cluster's objects go from SQLite to etcd and back while Pods run on") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  const int code = cluster.migrate({"--mode", "etcd"});
  INFO(world.err.str());
  REQUIRE(code == 0);
  CHECK(contains(world.out.str(), "Cluster \"a\" is etcd now"));
  CHECK(contains(world.out.str(), "What it was before is snapshot "));
  cluster.check_is_whole();
  // Raised, so that every watcher lists again.
  CHECK(cluster.held() == "etcd etcd=https://10.214.0.2:2380\n1000000009 4 kept\n");
  CHECK(known_snapshots(Home{world.home()}).value().size() == 1);
  for (const char* key : {"api-server", "etcd"})
    CHECK(world.engine.starts.at(key) == (key[0] == 'a' ? 2 : 1));
  for (const char* key :
       {"kubelet-1", "node-1", "controller-manager", "scheduler", "kube-proxy-2", "dns", "api-proxy"})
    CHECK(world.engine.starts.at(key) == 1);

  cluster.hold("1000000020 5 kept, and more\n");
  REQUIRE(cluster.migrate({"--mode", "sqlite", "--no-snapshot", "--output", "json"}) == 0);
  const auto json = boost::json::parse(world.out.str());
  CHECK(json.at("migrated") == true);
  CHECK(json.at("from") == "etcd");
  CHECK(json.at("cluster").at("mode") == "sqlite");
  CHECK_FALSE(json.as_object().contains("before"));
  cluster.check_is_whole();
  CHECK(cluster.held() == "2000000020 5 kept, and more\n");
  CHECK(world.engine.starts.at("api-server") == 3);
  CHECK(world.engine.starts.at("kubelet-1") == 1);
  CHECK(known_snapshots(Home{world.home()}).value().size() == 1);
  cluster.delete_all();
}

TEST_CASE("a cluster becomes a highly available one and comes back, and its nodes stay") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  REQUIRE(cluster.migrate({"--mode", "etcd"}) == 0);
  cluster.hold("1000000010 4 kept\n");
  REQUIRE(cluster.migrate({"--ha"}) == 0);  // from one member to three
  cluster.check_is_whole();
  CHECK(cluster.settings().is_highly_available);
  CHECK(contains(cluster.held(),
                 "etcd-3 etcd-1=https://10.214.0.2:2380,etcd-2=https://10.214.0.3:2380,etcd-3=https://"));
  CHECK(world.engine.starts.at("node-1") == 1);
  CHECK(world.engine.starts.at("kubelet-1") == 2);  // it is told of all api-servers
  const std::string kubeconfig =
      certs::read_text(cluster.root() / "components/kubelet-1/kubelet.conf").value();
  for (const char* address : {"10.214.0.5:", "10.214.0.6:", "10.214.0.7:"})
    CHECK(contains(kubeconfig, address));
  CHECK(cluster.migrate({"--mode", "etcd"}) == 0);  // it has its data there
  CHECK(cluster.settings().is_highly_available);
  cluster.hold("2000000010 4 kept\n");
  REQUIRE(cluster.migrate({"--mode", "sqlite"}) == 0);
  cluster.check_is_whole();
  CHECK(cluster.held() == "3000000010 4 kept\n");
  CHECK(world.engine.starts.at("node-1") == 1);
  cluster.delete_all();
}

TEST_CASE("a migration that cannot be is refused before anything is done") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  REQUIRE(world.run({"create", "b"}) == 0);
  const auto before = world.things.all();
  const auto refused = [&](const Words& words, int code, std::string_view said) {
    CHECK(world.run(words) == code);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), said));
    CHECK(world.things.all() == before);
  };
  refused({"migrate", "a", "--yes"}, 2, "migrate needs --mode");
  refused({"migrate", "a", "--mode", "mysql", "--yes"}, 2, "is not one of sqlite, etcd");
  refused({"migrate", "a", "--mode", "sqlite", "--ha"}, 2, "--ha needs --mode etcd");
  refused({"migrate", "a", "--mode", "all-in-one", "--yes"}, 2,
          "rusternetes-ctl clone NEWNAME --from-cluster a");
  refused({"migrate", "b", "--mode", "etcd", "--yes"}, 2, "--from-cluster b --mode etcd");
  refused({"migrate", "c", "--mode", "etcd", "--yes"}, 3, "there is no cluster \"c\"");
  refused({"migrate", "a", "--mode", "etcd"}, 2, "Move cluster \"a\" from sqlite to etcd?");
  refused({"migrate", "a", "--mode", "etcd", "--yes", "--image", "dns=x"}, 2, "is not etcd=REFERENCE");
  world.faults.by_call["images"] = "etcd is missing";
  refused({"migrate", "a", "--mode", "etcd", "--yes"}, 1, "etcd is missing");
  world.faults.by_call.clear();
  world.http.is_ready = false;
  refused({"migrate", "a", "--mode", "etcd", "--yes"}, 9, "is not well, and nothing was changed");
  world.http.is_ready = true;
  REQUIRE(world.run({"migrate", "a", "--mode", "sqlite"}) == 0);
  CHECK(contains(world.out.str(), "is sqlite already"));
  REQUIRE(world.run({"migrate", "a", "--mode", "etcd", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "Copy every object, and make a store of etcd of it"));
  CHECK(contains(world.out.str(), "Remember that the data is in etcd (from here on"));
  CHECK(world.things.all() == before);
  CHECK(known_snapshots(Home{world.home()}).value().empty());
  REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
  CHECK(world.run({"migrate", "a", "--mode", "etcd", "--yes"}) == 9);
  CHECK(contains(world.err.str(), "[ClusterStopped]"));
}

TEST_CASE("the image of the new store may come from elsewhere") {
  Migratable cluster({"--mode", "sqlite"});
  REQUIRE(cluster.migrate({"--mode", "etcd", "--image", "etcd=example.test/etcd:v3"}) == 0);
  CHECK(cluster.settings().images.at("etcd") == "example.test/etcd:v3");
  cluster.check_is_whole();
}

TEST_CASE("where the new store does not come up the old one serves again with all it had") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  SECTION("it does not start") { world.faults.by_call["bring-up etcd"] = "the engine is ill"; }
  SECTION("it starts and does not serve") {
    world.engine.restarts["etcd"] = 4;
    world.http.sick = {{":2379/health", 503}};
  }
  SECTION("the old one gives no copy") { world.store->is_socket_dead = true; }
  CHECK(cluster.migrate({"--mode", "etcd", "--no-snapshot"}) != 0);
  INFO(world.err.str());
  CHECK(contains(world.err.str(), "Undo: "));
  world.faults.by_call.clear();
  world.http.sick.clear();
  world.store->is_socket_dead = false;
  cluster.check_is_whole();
  CHECK(cluster.held() == "9 4 kept\n");
  world.engine.restarts.clear();
  REQUIRE(cluster.migrate({"--mode", "etcd", "--no-snapshot"}) == 0);
  cluster.check_is_whole();
}

TEST_CASE("once the new store serves a migration is finished by the next command") {
  Migratable cluster({"--mode", "etcd"});
  World& world = cluster.world;
  world.faults.by_call["bring-up api-server"] = "the engine is ill";
  CHECK(cluster.migrate({"--mode", "sqlite"}) == 1);
  CHECK(world.run({"list"}) == 0);
  CHECK(contains(world.err.str(), "could not be finished: the engine is ill"));
  CHECK(fs::exists(cluster.data() / "etcd"));  // nobody has written to the new one yet
  world.faults.by_call.clear();
  REQUIRE(world.run({"list"}) == 0);
  CHECK(verdict(world) == "finished");
  cluster.check_is_whole();
  CHECK(cluster.held() == "1000000009 4 kept\n");
}

TEST_CASE("where the api-servers do not answer on the new store the old one is kept, and that is told") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  world.engine.restarts["api-server"] = 4;
  bool is_first = true;  // the store's alone
  world.hooks.on_point = [&](std::string_view name) {
    if (name != "after engine bring-up") return;
    world.http.is_ready = is_first;
    is_first = false;
  };
  const int code = cluster.migrate({"--mode", "etcd", "--no-snapshot", "--wait", "0"});
  INFO(world.err.str());
  CHECK(code == 0);
  CHECK(
      contains(world.err.str(), "the old store is kept as " + (cluster.data() / "replaced-rhino").string()));
  CHECK(certs::read_text(cluster.data() / "replaced-rhino/store.db").value() == "9 4 kept\n");
}

TEST_CASE("a migration killed anywhere leaves the cluster whole on the one store or the other") {
  const Way way =
      GENERATE(Way{{"--mode", "sqlite"}, {"--mode", "etcd"}}, Way{{"--mode", "etcd"}, {"--mode", "sqlite"}},
               Way{{"--mode", "sqlite"}, {"--ha"}});
  const bool is_sampled = way.to[0] == "--ha";
  std::map<std::string, int> verdicts;
  std::set<std::string> modes;
  int n = 1;
  for (;; n += stride(is_sampled ? 5 : way.to[1] == "etcd" ? 1 : 2)) {
    Migratable cluster(way.from);
    World& world = cluster.world;
    Words words{"migrate", "a", "--yes", "--no-snapshot"};
    words.insert(words.end(), way.to.begin(), way.to.end());
    if (!crashes_at(world, words, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    const std::string said = verdict(world);
    ++verdicts[said];
    CHECK(world.out.str() == "a\n");
    const std::string mode = cluster.settings().mode;
    modes.insert(mode);
    if (said == "undone") CHECK(mode == (way.from[1]));
    if (said == "finished") CHECK(mode != (way.from[1]));
    const bool is_raised = contains(cluster.held(), "1000000009 4 kept\n");
    CHECK(is_raised == (mode != way.from[1]));
    CHECK(contains(cluster.held(), "9 4 kept\n"));
    cluster.check_is_whole();
    REQUIRE(world.run({"list"}) == 0);
    CHECK(verdict(world).empty());
    cluster.delete_all();
  }
  CHECK(n > 60);
  CHECK(modes.size() == 2);
  CHECK(verdicts["undone"] >= (is_sampled ? 6 : 20));
  CHECK(verdicts["finished"] >= (is_sampled ? 3 : 8));
}

TEST_CASE("a recovery of a migration that is killed too is completed by the command after it") {
  for (int n = 5;; n += 9)
    for (int m = 2;; m += 7) {
      Migratable cluster({"--mode", "sqlite"});
      World& world = cluster.world;
      if (!crashes_at(world, {"migrate", "a", "--yes", "--no-snapshot", "--mode", "etcd"}, n)) return;
      INFO("killed at point " << n << ", recovery at " << m);
      if (!crashes_at(world, {"list"}, m)) break;
      REQUIRE(world.run({"list"}) == 0);
      cluster.check_is_whole();
      CHECK(contains(cluster.held(), "9 4 kept\n"));
    }
}

TEST_CASE("deleting a cluster whose migration was killed leaves nothing of it") {
  const Way way =
      GENERATE(Way{{"--mode", "sqlite"}, {"--mode", "etcd"}}, Way{{"--mode", "etcd"}, {"--mode", "sqlite"}});
  for (int n = 1;; n += stride(2)) {
    Migratable cluster(way.from);
    if (!crashes_at(cluster.world, {"migrate", "a", "--yes", "--no-snapshot", way.to[0], way.to[1]}, n))
      break;
    INFO("killed at point " << n);
    cluster.delete_all();
  }
}

TEST_CASE("a migration that is finished after a restart of the host has its drop rules before it begins") {
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  int point = 0;
  {
    Migratable probe({"--mode", "sqlite"});
    probe.world.hooks.names.clear();
    REQUIRE(probe.migrate({"--mode", "etcd", "--no-snapshot"}) == 0);
    for (std::size_t i = 0; i < probe.world.hooks.names.size(); ++i)
      if (probe.world.hooks.names[i] == "after journal applying apply-manifest")
        point = static_cast<int>(i) + 1;
  }
  REQUIRE(crashes_at(world, {"migrate", "a", "--yes", "--no-snapshot", "--mode", "etcd"}, point));
  for (const std::string& one : cluster.components()) world.things.add("component", one, "exited");
  for (const char* kind : {"drop-host", "mount"}) world.things.remove(kind, "a");
  REQUIRE(world.run({"list"}) == 0);
  CHECK(verdict(world) == "finished");
  cluster.check_is_whole();
}

TEST_CASE("what an engine stops for a command that was killed meanwhile is started again by the next one") {
  const Words words{"migrate", "a", "--mode", "etcd", "--no-snapshot", "--yes"};
  int point = 0;
  {
    Migratable probe({"--mode", "sqlite"});
    probe.world.hooks.names.clear();
    REQUIRE(probe.world.run(words) == 0);
    const auto& names = probe.world.hooks.names;
    const auto found = std::find(names.begin(), names.end(), "before engine end-components");
    REQUIRE(found != names.end());
    point = static_cast<int>(found - names.begin()) + 1;
  }
  Migratable cluster({"--mode", "sqlite"});
  World& world = cluster.world;
  REQUIRE(crashes_at(world, words, point));
  // It serves no longer, and ends while the next command looks for the fifth time.
  world.http.sick[members_of(cluster.settings(), "api-server").front().address + ":6443"] = 503;
  int looks = 0;
  world.engine.on_look = [&] {
    if (++looks != 5) return;
    world.things.add("component", "a.api-server", "exited");
    world.http.sick.clear();
  };
  REQUIRE(world.run({"list"}) == 0);
  CHECK(verdict(world) == "undone");
  CHECK(looks >= 5);
  CHECK(world.engine.starts.at("api-server") == 2);
  cluster.check_is_whole();
  cluster.delete_all();
}
