#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "certs/pki.h"
#include "launcher/command.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

boost::json::value json_of(const World& world) { return boost::json::parse(world.out.str()); }

}  // namespace

TEST_CASE("create makes a running cluster and delete leaves nothing of it") {
  World world;
  REQUIRE(world.run({"create"}) == 0);
  CHECK(contains(world.out.str(), "Cluster \"rusternetes\" is ready"));
  CHECK(contains(world.err.str(), "Load the pause image into podman 1.0: done"));
  const fs::path root = world.home() / "clusters/rusternetes";
  for (const char* name :
       {"pki/ca.crt", "pki/kubelet.crt", "kubeconfig", "super-admin.conf", "controller-manager.conf",
        "scheduler.conf", "kubelet.conf", "data", "run", "kubelet", "logs"})
    CHECK(fs::exists(root / name));
  const std::string user = certs::read_text(world.kubeconfig()).value();
  CHECK(contains(user, "current-context: \"rusternetes-rusternetes\""));
  CHECK(world.run({"create", "--api-port", "7000"}) == 4);
  CHECK(contains(world.err.str(), "[ClusterExists]"));
  CHECK(contains(world.err.str(), "--api-port is 6443 there, not 7000"));
  CHECK(world.run({"delete"}) == 2);  // nobody to ask
  CHECK(contains(world.err.str(), "[ConfirmationRequired]"));
  REQUIRE(world.run({"delete", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("the process is started with the cluster's addresses, engine and folders") {
  World world;
  REQUIRE(world.run({"create", "a", "--engine", "podman", "--pod-cidr", "10.200.0.0/16", "--service-cidr",
                     "10.97.0.0/20", "--api-port", "7443"}) == 0);
  const auto& words = world.process.commands["a"];
  const std::string root = (world.home() / "clusters/a").string();
  // A copy of its own, which is told by release and content.
  const fs::path program = words.front();
  CHECK(program.filename() == "rusternetes");
  CHECK(program.parent_path().parent_path() == fs::path(root) / "programs");
  CHECK(program.parent_path().filename().string().starts_with("0.1.0-"));
  CHECK(certs::read_text(program).value() == certs::read_text(world.bin() / "rusternetes").value());
  const std::vector<std::string> wanted{words.front(),
                                        "--data-dir",
                                        root + "/data",
                                        "--cluster-name",
                                        "a",
                                        "--pki-dir",
                                        root + "/pki",
                                        "--bind-address",
                                        "127.0.0.1",
                                        "--secure-port",
                                        "7443",
                                        "--pod-cidr",
                                        "10.200.0.0/16",
                                        "--service-cluster-ip-range",
                                        "10.97.0.0/20",
                                        "--node-name",
                                        "a",
                                        "--node-network",
                                        "own",
                                        "--node-address",
                                        "10.213.0.2",
                                        "--host-address",
                                        "10.213.0.1",
                                        "--engine",
                                        "podman",
                                        "--engine-socket",
                                        "/run/podman.sock",
                                        "--root-dir",
                                        root + "/kubelet",
                                        "--node-netns",
                                        "{node-netns}"};
  CHECK(words == wanted);
  const auto api = certs::inspect(certs::read_text(root + "/pki/apiserver.crt").value()).value();
  for (const char* address : {"10.213.0.2", "127.0.0.1", "10.97.0.1"})
    CHECK(std::count(api.ip_addresses.begin(), api.ip_addresses.end(), address) == 1);
}

TEST_CASE("the drop rule stands before the process runs, and a failed load ends create and leaves nothing") {
  World world;
  const char* call = GENERATE("load-drop", "check-drop");
  world.faults.by_call[call] = "nf_tables is not there";
  CHECK(world.run({"create", "a"}) == 8);
  CHECK(contains(world.err.str(), "[DropRuleFailed]"));
  CHECK(contains(world.err.str(), "nf_tables is not there"));
  CHECK(contains(world.err.str(), "Undo: "));
  world.check_nothing_is_left();
}

TEST_CASE("a step that fails undoes what was done before it") {
  World world;
  const char* call = GENERATE("load-pause", "start", "link");
  world.faults.by_call[call] = "broken";
  CHECK(world.run({"create", "a"}) != 0);
  world.check_nothing_is_left();
}

TEST_CASE("a step that fails after the point of no return is finished by the next command") {
  World world;
  world.faults.by_call["release"] = "broken";
  CHECK(world.run({"create", "a"}) != 0);
  CHECK(world.things.has("link", "a"));
  // While the cause is there, other clusters are not kept from working.
  CHECK(world.run({"list"}) == 0);
  CHECK(contains(world.err.str(), "could not be finished: broken"));
  CHECK(world.run({"start", "a"}) == 8);
  CHECK(contains(world.err.str(), "[RecoveryFailed]"));
  world.faults.by_call.clear();
  CHECK(world.run({"status", "a"}) == 0);
  CHECK(contains(world.err.str(), "The create of \"a\" is finished."));
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("an interrupted create is undone between two steps") {
  World world;
  int asked = 0;
  world.is_interrupted = [&] { return ++asked > 4; };
  CHECK(world.run({"create", "a"}) == 130);
  CHECK(contains(world.err.str(), "[Interrupted]"));
  world.check_nothing_is_left();
}

TEST_CASE("clusters side by side get addresses and ports of their own") {
  World world;
  world.network.ranges = {"10.245.0.0/16", "10.213.0.16/28"};
  world.host.ports_in_use = {6444};
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"create", "b"}) == 0);
  REQUIRE(world.run({"list", "--output", "json"}) == 0);
  const auto json = json_of(world);
  const auto& list = json.at("clusters").as_array();
  REQUIRE(list.size() == 2);
  CHECK(list[0].at("server") == "https://127.0.0.1:6443");
  CHECK(list[1].at("server") == "https://127.0.0.1:6445");
  CHECK(list[0].at("podCIDRs").at(0) == "10.244.0.0/16");
  CHECK(list[1].at("podCIDRs").at(0) == "10.246.0.0/16");
  CHECK(list[0].at("serviceCIDRs").at(0) == "10.96.0.0/16");
  CHECK(list[1].at("serviceCIDRs").at(0) == "10.97.0.0/16");
  CHECK(list[0].at("nodeAddresses").at(0) == "10.213.0.2");
  CHECK(list[1].at("nodeAddresses").at(0) == "10.213.0.34");
  CHECK(world.run({"create", "c", "--pod-cidr", "10.244.128.0/17"}) == 6);
  CHECK(contains(world.err.str(), "overlaps 10.244.0.0/16 of cluster \"a\""));
  CHECK(world.run({"create", "c", "--pod-cidr", "10.245.0.0/24"}) == 6);
  CHECK(contains(world.err.str(), "which this host has a route to"));
  CHECK(world.run({"create", "c", "--service-cidr", "10.250.0.0/16", "--pod-cidr", "10.250.0.0/16"}) == 6);
  CHECK(world.run({"create", "c", "--api-port", "6443"}) == 6);
  CHECK(world.run({"create", "c", "--api-port", "6444"}) == 6);
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  CHECK(world.things.has("link", "b"));
  CHECK(contains(certs::read_text(world.kubeconfig()).value(), "rusternetes-b"));
  CHECK_FALSE(contains(certs::read_text(world.kubeconfig()).value(), "rusternetes-a"));
  REQUIRE(world.run({"create", "c"}) == 0);
  REQUIRE(world.run({"list", "--output", "json"}) == 0);
  CHECK(json_of(world).at("clusters").at(1).at("podCIDRs").at(0) == "10.244.0.0/16");  // a's, given back
  REQUIRE(world.run({"delete", "--all", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a cluster of two address families is refused in one sentence, and nothing is made") {
  World world;
  for (const char* flag : {"--pod-cidr", "--service-cidr"}) {
    CHECK(world.run({"create", "a", flag, "10.200.0.0/16,fd00:1::/112"}) == 2);
    CHECK(contains(world.err.str(), std::string(flag) +
                                        " 10.200.0.0/16,fd00:1::/112 has ranges of two address families: a "
                                        "cluster has one, IPv4 or IPv6, so "
                                        "name one range"));
  }
  CHECK(world.run({"create", "b", "--pod-cidr", "fd00:2::/56", "--service-cidr", "10.99.0.0/16"}) == 2);
  world.check_nothing_is_left();
}

TEST_CASE("an engine is taken as asked for, else Podman, Docker, and a Podman of its own") {
  World world;
  const auto engine_of = [&] {
    REQUIRE(world.run({"list", "--output", "json"}) == 0);
    return json_of(world).at("clusters").at(0).as_object();
  };
  SECTION("running ones") {
    world.engine.running = {"podman", "docker"};
    REQUIRE(world.run({"create", "a"}) == 0);
    CHECK(engine_of().at("engine") == "podman");
    REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
    REQUIRE(world.run({"create", "a", "--engine", "docker"}) == 0);
    CHECK(engine_of().at("engine") == "docker");
  }
  SECTION("one of its own, which stops and starts with the cluster") {
    world.engine.running.clear();
    REQUIRE(world.run({"create", "a"}) == 0);
    CHECK(contains(world.err.str(), "a Podman of its own"));
    CHECK(std::string(engine_of().at("engineSocket").as_string()) ==
          (world.home() / "clusters/a/engine/podman.sock").string());
    CHECK(world.things.has("engine", "a"));
    REQUIRE(world.run({"stop", "a"}) == 0);
    CHECK_FALSE(world.things.has("engine", "a"));
    REQUIRE(world.run({"start", "a"}) == 0);
    CHECK(world.things.has("engine", "a"));
    REQUIRE(world.run({"stop", "a"}) == 0);
    REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
    CHECK(world.things.names("engine").empty());
  }
  SECTION("none") {
    world.engine.running.clear();
    world.engine.is_installed = false;
    CHECK(world.run({"create", "a"}) == 5);
    CHECK(contains(world.err.str(), "[EngineUnreachable]"));
    world.check_nothing_is_left();
  }
}

TEST_CASE("stop keeps data and addresses, and start brings the same cluster back") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  std::ofstream(world.home() / "clusters/a/data/store") << "x";
  const auto before = certs::read_text(world.home() / "clusters/a/kubeconfig").value();
  REQUIRE(world.run({"stop", "a"}) == 0);
  CHECK(world.things.text("container", "a.app") == "exited");
  CHECK_FALSE(world.things.has("process", "a"));
  CHECK(world.things.has("drop-host", "a"));
  CHECK(world.run({"stop", "a"}) == 0);
  CHECK(world.run({"status", "a"}) == 9);
  CHECK(contains(world.err.str(), "[ClusterStopped]"));
  // Nobody else gets its addresses meanwhile.
  REQUIRE(world.run({"create", "b"}) == 0);
  world.host.ports_in_use = {6443};
  CHECK(world.run({"start", "a"}) == 6);
  world.host.ports_in_use.clear();
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(world.things.has("released", "a"));
  CHECK(fs::exists(world.home() / "clusters/a/data/store"));
  CHECK(certs::read_text(world.home() / "clusters/a/kubeconfig").value() == before);
  world.hooks.names.clear();
  REQUIRE(world.run({"start", "a"}) == 0);  // running already: looks and does nothing
  CHECK(world.hooks.names.empty());
}

TEST_CASE("start after a reboot, or with a new supervisor, makes links and rules again") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  for (const char* kind : {"drop-node", "released", "drop-host", "link", "mount"})
    world.things.remove(kind, "a");
  const bool is_reboot = GENERATE(true, false);
  if (is_reboot)
    for (const char* kind : {"process", "netns"}) world.things.remove(kind, "a");
  REQUIRE(world.run({"start", "a"}) == 0);
  for (const char* kind : {"process", "netns", "drop-node", "released", "drop-host", "link", "mount"})
    CHECK(world.things.has(kind, "a"));
}

TEST_CASE("the host can be the node itself") {
  World world;
  REQUIRE(world.run({"create", "a", "--node-network", "host", "--output", "json"}) == 0);
  CHECK(json_of(world).at("cluster").at("nodeAddresses").at(0) == "198.51.100.7");
  CHECK_FALSE(world.things.has("netns", "a"));
  CHECK_FALSE(world.things.has("link", "a"));
  CHECK(world.things.has("drop-host", "a"));
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a cluster that does not get ready is kept, and the error says why") {
  World world;
  SECTION("the node") {
    world.http.is_node_ready = false;
    CHECK(world.run({"create", "a", "--wait", "50ms"}) == 9);
    CHECK(contains(world.err.str(), "node \"a\" is not Ready"));
    CHECK(world.run({"status", "a", "--output", "json"}) == 9);
    CHECK(json_of(world).at("error").at("id") == "NotReady");  // one document
    CHECK(json_of(world).at("apiServerReady") == true);
  }
  SECTION("the api-server") {
    world.http.is_ready = false;
    CHECK(world.run({"create", "a", "--wait", "50ms"}) == 9);
    CHECK(contains(world.err.str(), "the api-server is not ready"));
  }
  SECTION("a process that keeps ending") {
    world.http.is_ready = false;
    world.process.restarts = 1;
    CHECK(world.run({"create", "a", "--wait", "60s"}) == 8);
    CHECK(contains(world.err.str(), "rusternetes keeps ending"));
  }
  CHECK(world.things.has("released", "a"));
}

TEST_CASE("--wait 0 does not ask the api-server") {
  World world;
  REQUIRE(world.run({"create", "a", "--wait", "0"}) == 0);
  CHECK(world.http.requests.empty());
  CHECK(contains(world.out.str(), "is starting"));
  REQUIRE(world.run({"status", "a"}) == 0);
  REQUIRE_FALSE(world.http.requests.empty());
  CHECK(world.http.requests.front().url == "https://127.0.0.1:6443/readyz");
  CHECK(world.http.requests.front().certificate_pem ==
        certs::read_text(world.home() / "clusters/a/pki/admin.crt").value());
}

TEST_CASE("a dry run prints the steps and changes nothing") {
  World world;
  REQUIRE(world.run({"create", "a", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "Reserve Pods 10.244.0.0/16, Services 10.96.0.0/16, API port 6443"));
  CHECK(contains(world.out.str(), "finished, not undone"));
  world.check_nothing_is_left();
  REQUIRE(world.run({"create", "a"}) == 0);
  const auto before = world.things.all();
  for (const char* word : {"delete", "stop", "start"}) {
    REQUIRE(world.run({word, "a", "--dry-run", "--output", "json"}) == 0);
    CHECK(json_of(world).at("plan") == word);
    CHECK_FALSE(json_of(world).at("steps").as_array().empty());
  }
  CHECK(world.things.all() == before);
}

TEST_CASE("what cannot work is refused before anything is made") {
  World world;
  const auto refused = [&](std::vector<std::string> words, int code, const char* id) {
    INFO(words.back());
    words.insert(words.begin(), {"create"});
    CHECK(world.run(words) == code);
    CHECK(contains(world.err.str(), std::string("[") + id + "]"));
    world.check_nothing_is_left();
  };
  refused({"--mode", "big"}, 2, "BadRequest");
  for (const char* bad :
       {"0.0.0.0:30080", "8080", "8080:", ":30080", "0:30080", "8080:65536", "8080:30080/udp", "a:b"})
    refused({"--publish", bad}, 2, "BadRequest");
  refused({"--publish", "8080:30080", "--publish", "8080:30081"}, 2, "BadRequest");
  refused({"--publish", "7443:30080", "--api-port", "7443"}, 2, "BadRequest");
  refused({"--publish", "8080:30080", "--node-network", "host"}, 2, "BadRequest");
  refused({"--engine", "containerd"}, 2, "BadRequest");
  refused({"--node-network", "bridge"}, 2, "BadRequest");
  refused({"--network-policy", "maybe"}, 2, "BadRequest");
  refused({"--wait", "soon"}, 2, "BadRequest");
  refused({"--api-port", "0"}, 2, "BadRequest");
  refused({"--api-port", "70000"}, 2, "BadRequest");
  refused({"--pod-cidr", "10.0.0.1/16"}, 2, "BadRequest");
  refused({"--pod-cidr", "10.0.0.0/30"}, 2, "BadRequest");
  refused({"--key-algorithm", "dsa"}, 2, "BadRequest");
  refused({"Upper"}, 2, "InvalidName");
  refused({"-x"}, 2, "Usage");
  refused({"list"}, 2, "InvalidName");
  refused({"merge"}, 2, "InvalidName");
  refused({std::string(41, 'a')}, 2, "InvalidName");
  refused({"--home", world.folder.path.string() + "/" + std::string(100, 'x')}, 5, "PathTooLong");
  world.host.root = false;
  refused({"a"}, 5, "NotRoot");
  world.host.root = true;
  world.things.add("link", "a");  // of another home
  CHECK(world.run({"create", "a"}) == 4);
  world.things.remove("link", "a");
  world.things.add("container", "a.app", "running");
  CHECK(world.run({"create", "a"}) == 4);
  CHECK(contains(world.err.str(), "of another home"));
}

TEST_CASE("a folder that no cluster has is not taken over") {
  World world;
  fs::create_directories(world.home() / "clusters/a");
  std::ofstream(world.home() / "clusters/a/precious") << "x";
  CHECK(world.run({"create", "a"}) == 4);
  CHECK(contains(world.err.str(), "[FolderInTheWay]"));
  CHECK(fs::exists(world.home() / "clusters/a/precious"));
}

TEST_CASE("a state file that is not ours stops every command and stays as it is") {
  World world;
  fs::create_directories(world.home());
  std::ofstream(world.home() / "state.db") << "my notes";
  for (const char* word : {"create", "list", "start"}) {
    CHECK(world.run({word}) == 7);
    CHECK(contains(world.err.str(), "[StateDamaged]"));
  }
  CHECK(certs::read_text(world.home() / "state.db").value() == "my notes");
}
