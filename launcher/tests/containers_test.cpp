// Clusters whose components are containers: what they are made of, and the commands' way with them.
#include "launcher/containers/topology.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "certs/pki.h"
#include "crash.h"
#include "launcher/command.h"
#include "store_fake.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

ClusterSettings settings_of(const std::string& mode, bool is_highly_available, int nodes) {
  ClusterSettings s{.name = "a", .mode = mode, .is_highly_available = is_highly_available};
  s.engine = {"docker", "/run/docker.sock", "1.0", false};
  s.api_port = 6443;
  s.pod_cidrs = {"10.244.0.0/16"};
  s.service_cidrs = {"10.96.0.0/16"};
  s.network_cidr = "10.214.0.0/24";
  s.bridge = "rnabcdefgbr";
  for (int i = 0; i < nodes; ++i) s.nodes.push_back(next_node(s));
  for (const std::string& component : components_of(s)) s.images[component] = "localhost/" + component + ":1";
  return s;
}

std::vector<std::string> keys_of(const ClusterSettings& settings) {
  std::vector<std::string> out;
  for (const Member& one : members_of(settings)) out.push_back(one.key);
  return out;
}

Manifest manifest_of(const ClusterSettings& settings, const fs::path& root = "/var/lib/a") {
  const std::string text = render_manifest(settings, ClusterPaths{root}, settings.images);
  const auto manifest = read_manifest(text);
  INFO(text);
  INFO((manifest ? "" : manifest.error().message));
  REQUIRE(manifest);
  return *manifest;
}

bool has_word(const ManifestService& service, const std::string& word) {
  return std::find(service.command.begin(), service.command.end(), word) != service.command.end();
}

}  // namespace

TEST_CASE("a topology has each component with an address of its own") {
  CHECK(keys_of(settings_of("sqlite", false, 2)) ==
        std::vector<std::string>{"rhino", "api-server", "controller-manager", "scheduler", "dns", "host-agent",
                                 "api-proxy", "node-1", "kube-proxy-1", "kubelet-1", "node-2", "kube-proxy-2",
                                 "kubelet-2"});
  const auto many = settings_of("etcd", true, 3);
  CHECK(keys_of(many).size() == 3 + 3 + 2 + 2 + 2 + 1 + 1 + 3 * 3);
  std::set<std::string> addresses;
  for (const Member& one : members_of(many))
    if (!one.address.empty()) CHECK(addresses.insert(one.address).second);
  CHECK_FALSE(addresses.contains(gateway_of(many)));
  CHECK(store_urls(many) == std::vector<std::string>{"https://10.214.0.2:2379", "https://10.214.0.3:2379",
                                                     "https://10.214.0.4:2379"});
  CHECK(dns_service_address(many) == "10.96.0.10");
  // A number that has become free is taken again.
  auto without = many;
  without.nodes.erase(without.nodes.begin() + 1);
  CHECK(next_node(without).name == "node-2");
  CHECK(next_node(many).address == "10.214.0.19");
}

TEST_CASE("the manifest says what the topology says, and reads back") {
  const auto s = settings_of("etcd", true, 2);
  const Manifest manifest = manifest_of(s);
  REQUIRE(manifest.networks.size() == 1);
  CHECK(manifest.networks[0].bridge_name == s.bridge);
  REQUIRE(manifest.services.size() == members_of(s).size());
  for (const Member& member : members_of(s)) {
    const auto* service = manifest.find(member.key);
    REQUIRE(service != nullptr);
    CHECK(service->container_name == container_name(s, member.key));
    CHECK(service->address == member.address);
    CHECK(service->labels.at(cluster_label) == "a");
    CHECK(service->labels.at(component_label) == member.component);
    CHECK(service->labels.at(key_label) == member.key);
    CHECK(service->restart == "always");
  }
  CHECK(has_word(*manifest.find("etcd-2"),
                 "--initial-cluster=etcd-1=https://10.214.0.2:2380,etcd-2=https://10.214.0.3:2380,"
                 "etcd-3=https://10.214.0.4:2380"));
  CHECK(has_word(*manifest.find("scheduler-1"), "--leader-elect=true"));
  CHECK(has_word(*manifest.find("api-proxy"), "--server=10.214.0.6:6443"));
  const auto* kubelet = manifest.find("kubelet-2");
  CHECK(kubelet->network_mode == "service:node-2");
  CHECK(has_word(*kubelet, "--host-network-container=rusternetes-a-node-2"));
  CHECK(has_word(*kubelet, "--cluster-dns=10.96.0.10"));
  CHECK(has_word(*kubelet, "--service-cluster-ip-range=10.96.0.0/16"));
  CHECK(has_word(*manifest_of(settings_of("sqlite", false, 1)).find("scheduler"), "--leader-elect=false"));
}

TEST_CASE("a manifest for Podman names the bridge by a label, since its own client has no option for it") {
  auto s = settings_of("sqlite", false, 1);
  s.engine.kind = "podman";
  CHECK(manifest_of(s).networks[0].bridge_name == s.bridge);
  CHECK_FALSE(contains(render_manifest(s, ClusterPaths{"/x"}, s.images), "driver_opts"));
}

TEST_CASE("folders with any name stand in the manifest as they are") {
  const fs::path root = "/var/lib/a \"b\" $c # : 'd'\\e";
  const Manifest manifest = manifest_of(settings_of("sqlite", false, 1), root);
  CHECK(manifest.find("rhino")->mounts.at(1).source == (root / "data/rhino").string());
  CHECK(has_word(*manifest.find("kubelet-1"), "--root-dir=" + (root / "kubelet/node-1").string()));
}

TEST_CASE("a cluster of containers is created, stopped, started and deleted") {
  const std::string mode = GENERATE(as<std::string>(), "sqlite", "etcd", "ha");
  const std::string engine = GENERATE(as<std::string>(), "running", "private");
  World world;
  if (engine == "private") world.engine.running.clear();
  std::vector<std::string> words{"create", "a", "--nodes", "3"};
  if (mode == "ha")
    words.push_back("--ha");
  else
    words.insert(words.end(), {"--mode", mode});
  const int code = world.run(words);
  INFO(world.err.str());
  REQUIRE(code == 0);
  const fs::path root = world.home() / "clusters/a";
  // Each component has what it needs and nothing of another one.
  CHECK(fs::exists(root / "components/kubelet-3/kubelet.conf"));
  CHECK_FALSE(fs::exists(root / "components/kubelet-3/sa.key"));
  for (const auto& entry : fs::recursive_directory_iterator(root / "components"))
    if (entry.is_regular_file())
      CHECK((entry.status().permissions() & fs::perms::mask) == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(world.things.names("component").size() == (mode == "ha" ? 23u : 16u));
  CHECK(world.run({"status", "a"}) == 0);
  CHECK(contains(world.out.str(), "Nodes ready:         3 of 3"));
  CHECK(contains(world.out.str(), "kubelet-3"));
  CHECK(world.things.has("boot", "a"));
  REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
  CHECK_FALSE(world.things.has("boot", "a"));
  CHECK(world.things.names("component").empty());
  CHECK(world.things.text("container", "a.app") == "exited");
  CHECK(world.run({"status", "a"}) == 9);
  CHECK(contains(world.err.str(), "[ClusterStopped]"));
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(world.things.has("boot", "a"));
  CHECK(world.run({"status", "a"}) == 0);
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a component that has ended is told, and start brings it back") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  world.things.add("component", "a.scheduler", "exited");
  CHECK(world.run({"status", "a"}) == 9);
  CHECK(contains(world.err.str(), "scheduler has ended with exit code 137 [ComponentEnded]"));
  CHECK(world.run({"list"}) == 0);
  CHECK(contains(world.out.str(), "running"));
  REQUIRE(world.run({"start", "a"}) == 0);
  CHECK(world.engine.starts.at("scheduler") == 2);
  CHECK(world.engine.starts.at("rhino") == 1);
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("status asks each component, at its own address and with what it trusts, and says what to do") {
  World world;
  world.images.release = "0.1.0-abc";
  REQUIRE(world.run({"create", "a", "--ha"}) == 0);
  world.http.asked.clear();
  REQUIRE(world.run({"status", "a"}) == 0);
  std::map<std::string, HttpRequest> asked;
  for (const HttpRequest& one : world.http.asked) CHECK(asked.emplace(one.url, one).second);
  CHECK(asked.size() == 3 + 3 + 2 + 2 + 2 + 1 + 2 + 2);  // all but host-agent and what holds the nodes
  const fs::path pki = world.home() / "clusters/a/pki";
  const auto text = [&](const char* name) { return certs::read_text(pki / name).value(); };
  const HttpRequest& store = asked.at("https://10.214.0.3:2379/health");
  CHECK(store.authority_pem == text("etcd/ca.crt"));
  CHECK(store.certificate_pem == text("apiserver-etcd-client.crt"));
  CHECK(store.is_server_verified);
  const HttpRequest& api = asked.at("https://10.214.0.7:6443/readyz");
  CHECK(api.authority_pem == text("ca.crt"));
  CHECK(api.certificate_pem == text("admin.crt"));
  CHECK(asked.at("https://10.214.0.16:10250/healthz").certificate_pem ==
        text("apiserver-kubelet-client.crt"));
  for (const auto& [url, one] : asked)  // no key of the cluster's for whom nothing proves
    if (!one.is_server_verified) CHECK(one.key_pem.empty());
  CHECK_FALSE(asked.at("https://10.214.0.9:10257/healthz").is_server_verified);
  CHECK(asked.contains("https://127.0.0.1:6443/readyz"));  // the api-proxy

  CHECK(contains(world.out.str(), "0.1.0-abc"));
  CHECK(contains(world.out.str(), "days left"));
  world.http.sick = {{"10.214.0.3:2379", 0}, {"10.214.0.10:10259", 503}, {"10.214.0.16:10250", 403}};
  std::ofstream(world.home() / "clusters/a/data/etcd-1/db") << std::string(3 << 20, 'x');
  REQUIRE(world.run({"status", "a"}) == 0);  // the nodes are Ready
  INFO(world.out.str());
  CHECK(contains(world.out.str(),
                 "\netcd-2 does not answer: Connection refused\n  See why: rusternetes-ctl logs a"));
  CHECK(contains(world.out.str(), "scheduler-1 is not well, it answers 503"));
  CHECK(contains(world.out.str(), "Store:               3072 KiB"));
  REQUIRE(world.run({"status", "a", "--output", "json"}) == 0);
  const auto json = boost::json::parse(world.out.str());
  CHECK(json.at("problems").as_array().size() == 2);  // a kubelet that may not say is no problem
  CHECK(json.at("storeBytes") == 3 << 20);
  CHECK(json.at("certificateDaysLeft").as_int64() > 300);
  std::map<std::string, boost::json::value> components;
  for (const auto& one : json.at("components").as_array())
    components[std::string(one.at("name").as_string())] = one;
  CHECK(components.at("etcd-2").at("healthy") == false);
  CHECK(components.at("etcd-1").at("healthy") == true);
  CHECK(components.at("host-agent").at("healthy").is_null());
  world.engine.running.clear();
  CHECK(world.run({"status", "a"}) == 9);  // Podman's service has ended, and what it has started runs on
  CHECK(contains(world.out.str(), "(etcd, highly available, running)"));
  CHECK(contains(world.out.str(), "Nodes ready:         2 of 2"));
  CHECK(contains(world.out.str(), "not known"));
  CHECK_FALSE(contains(world.out.str(), "has no container"));
  CHECK(contains(world.err.str(), "what runs of cluster \"a\" is not known: podman does not answer"));
  world.engine.running = {"podman"};
  REQUIRE(world.run({"list"}) == 0);
  CHECK(contains(world.out.str(), "NODES"));
  CHECK(contains(world.out.str(), "etcd (ha)"));
}

TEST_CASE("restart and new certificates go through the components and leave the nodes' networks") {
  World world;
  REQUIRE(world.run({"create", "a", "--ha"}) == 0);
  const fs::path root = world.home() / "clusters/a";
  const auto serial = [&] {
    return certs::read_text(root / "components/api-server-2/apiserver.crt").value();
  };
  const std::string before = serial();
  REQUIRE(world.run({"restart", "a", "--yes"}) == 0);
  REQUIRE(world.engine.restarted.size() == 18);
  CHECK(world.engine.restarted.front() == "a.etcd-1");
  for (const std::string& one : world.engine.restarted) CHECK_FALSE(contains(one, "a.node-"));
  CHECK(serial() == before);
  REQUIRE(world.run({"certs", "rotate", "a", "--yes"}) == 0);
  CHECK(world.engine.restarted.size() == 18 + 14);  // the proxy and etcd read them by themselves
  CHECK(serial() != before);
}

TEST_CASE("what cannot be is said before anything is made") {
  World world;
  const auto refused = [&](const std::vector<std::string>& words, int code, std::string_view said) {
    CHECK(world.run(words) == code);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), said));
  };
  refused({"create", "a", "--mode", "etcd3"}, 2, "not one of all-in-one, sqlite, etcd");
  refused({"create", "a", "--mode", "sqlite", "--ha"}, 2, "--ha needs --mode etcd");
  refused({"create", "a", "--nodes", "3"}, 2, "--nodes is for --mode sqlite");
  refused({"create", "a", "--mode", "sqlite", "--nodes", "0"}, 2, "is not a number of nodes");
  refused({"create", "a", "--mode", "sqlite", "--nodes", "300"}, 2, "has addresses for 239");
  refused({"create", "a", "--mode", "sqlite", "--network-cidr", "10.1.0.0/16"}, 2, "is not an IPv4 block of /24");
  refused({"create", "a", "--mode", "sqlite", "--image", "etcd=x"}, 2, "there is no component \"etcd\" here");
  refused({"create", "a", "--mode", "sqlite", "--pod-cidr", "fd00::/56", "--service-cidr", "fd01::/112"}, 2,
          "has no IPv6");
  world.faults.by_call["images"] = "no such program";
  refused({"create", "a", "--mode", "sqlite"}, 1, "no such program");
  world.faults.by_call.clear();
  world.check_nothing_is_left();
  world.faults.by_call["bring-up dns"] = "the engine is ill";
  refused({"create", "a", "--mode", "sqlite"}, 1, "the engine is ill");
  world.faults.by_call.clear();
  world.check_nothing_is_left();
  world.faults.by_call["boot"] = "systemd is ill";
  refused({"create", "a", "--mode", "sqlite"}, 1, "systemd is ill");
  world.faults.by_call.clear();
  world.check_nothing_is_left();
}

TEST_CASE("images come from where the user says") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "etcd", "--registry", "example.test/rusternetes", "--image",
                     "etcd=example.test/etcd:v3"}) == 0);
  const auto all = world.things.names("image-podman");
  CHECK(all.contains("example.test_etcd:v3"));
  CHECK(all.contains("example.test_rusternetes_kubelet:" + std::string(release_version())));
  REQUIRE(world.run({"images", "a"}) == 0);
  CHECK(contains(world.out.str(), "kubelet              yes      example.test/rusternetes/kubelet:"));
  world.things.remove("image-podman", "example.test_etcd:v3");
  REQUIRE(world.run({"images", "a", "--output", "json"}) == 0);
  CHECK(contains(world.out.str(), R"({"component":"etcd","image":"example.test/etcd:v3","there":false})"));
  world.engine.running.clear();
  REQUIRE(world.run({"images", "a"}) == 0);
  CHECK(contains(world.out.str(), "?"));
  // Pulled images are the engine's; two clusters share ours, and the last one takes them away.
  World other;
  REQUIRE(other.run({"create", "a", "--mode", "sqlite"}) == 0);
  REQUIRE(other.run({"create", "b", "--mode", "sqlite"}) == 0);
  REQUIRE(other.run({"delete", "a", "--yes"}) == 0);
  CHECK(other.things.has("image-podman", "localhost_rusternetes_kubelet:1"));
  REQUIRE(other.run({"delete", "b", "--yes"}) == 0);
  other.check_nothing_is_left();
}

TEST_CASE("a create of containers killed anywhere is finished or undone by the next command") {
  const std::string engine = GENERATE(as<std::string>(), "running", "private");
  int finished = 0, undone = 0, n = 1;
  for (;; ++n) {
    World world;
    if (engine == "private") world.engine.running.clear();
    if (!crashes_at(world, {"create", "a", "--mode", "sqlite"}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    if (world.out.str() == "a\n") {
      ++finished;
      CHECK(world.run({"status", "a"}) == 0);
      delete_and_check(world);
    } else {
      ++undone;
      world.check_nothing_is_left();
    }
  }
  CHECK(n > 40);
  CHECK(finished >= 3);
  CHECK(undone >= 20);
}

TEST_CASE("who uses an api-server ends before it does, it before its store, and one member of etcd after the other") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "etcd", "--ha", "--nodes", "1"}) == 0);
  REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
  auto& ended = world.engine.ended;
  const int servers = ended.at("api-server-1").turn;
  CHECK(ended.at("api-server-3").turn == servers);
  for (const char* user : {"scheduler-1", "controller-manager-2", "kubelet-1", "kube-proxy-1", "dns-1", "host-agent"})
    CHECK(ended.at(user).turn < servers);
  CHECK(ended.at("etcd-1").turn > servers);
  CHECK(ended.at("etcd-2").turn > ended.at("etcd-1").turn);
  CHECK(ended.at("etcd-3").turn > ended.at("etcd-2").turn);
  CHECK(ended.at("node-1").turn > ended.at("etcd-3").turn);
  // Two can hand over their lead, the last one cannot.
  CHECK(ended.at("etcd-2").grace == std::chrono::seconds(20));
  CHECK(ended.at("etcd-3").grace == std::chrono::seconds(2));
  World one;
  REQUIRE(one.run({"create", "a", "--mode", "etcd", "--nodes", "1"}) == 0);
  REQUIRE(one.run({"stop", "a", "--yes"}) == 0);
  CHECK(one.engine.ended.at("etcd").grace == std::chrono::seconds(20));
}

TEST_CASE("stop, start, restart, rotate and delete of containers killed anywhere are brought to an end") {
  const Words words = GENERATE(Words{"stop", "a", "--yes"}, Words{"start", "a"}, Words{"restart", "a", "--yes"},
                               Words{"certs", "rotate", "a", "--yes"}, Words{"delete", "a", "--yes"});
  for (int n = 1;; n += stride(2)) {
    World world;
    REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1"}) == 0);
    if (words[0] == "start") REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
    if (!crashes_at(world, words, n)) break;
    INFO(words[0] << " killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    if (world.out.str() == "a\n") {
      // A stopped one keeps its network, too.
      CHECK(world.things.has("network", "a"));
      if (words[0] == "restart" || words[0] == "certs") CHECK(world.run({"status", "a"}) == 0);
      REQUIRE(world.run({"start", "a"}) == 0);
      CHECK(world.run({"status", "a"}) == 0);
      delete_and_check(world);
    }
    world.check_nothing_is_left();
  }
}

namespace {

// A cluster whose store holds "old" in its one snapshot, and "new" by now.
struct Restorable {
  explicit Restorable(const std::string& mode) : is_etcd(mode == "etcd") {
    world.store = store;
    REQUIRE(world.run({"create", "a", "--mode", mode}) == 0);
    file = is_etcd ? world.folder.path / "etcd-says" : data() / "rhino/store.db";
    store->etcd_file = file;
    hold("5 3 old\n");
    if (is_etcd) {
      fs::create_directories(data() / "etcd");
      std::ofstream(data() / "etcd/member") << "new\n";
    }
    REQUIRE(world.run({"snapshot", "a"}) == 0);
    for (const auto& entry : fs::directory_iterator(world.home() / "snapshots/a")) id = entry.path().stem();
    hold("9 4 new\n");
  }
  fs::path data() const { return world.home() / "clusters/a/data"; }
  void hold(const std::string& text) { REQUIRE(certs::write_atomically(file, text, certs::private_mode)); }
  std::string held() const { return certs::read_text(is_etcd ? data() / "etcd/member" : file).value(); }

  World world;
  std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>();
  bool is_etcd;
  fs::path file;
  std::string id;
};

}  // namespace

TEST_CASE("a store of containers is put back while Pods run on") {
  const std::string mode = GENERATE(as<std::string>(), "sqlite", "etcd");
  Restorable cluster(mode);
  World& world = cluster.world;
  const int code = world.run({"restore", "a", "--id", cluster.id, "--yes"});
  INFO(world.err.str());
  REQUIRE(code == 0);
  CHECK(contains(cluster.held(), "old"));
  CHECK(contains(cluster.held(), "10000000"));  // raised, so that every watcher lists again
  CHECK(world.engine.starts.at(cluster.is_etcd ? "etcd" : "rhino") == 2);
  CHECK(world.engine.starts.at("api-server") == 2);
  CHECK(world.engine.starts.at("kubelet-1") == 1);
  CHECK(world.things.text("container", "a.app") == "running");
  CHECK(world.run({"status", "a"}) == 0);
  REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("certificates that come back with a store are read by every component") {
  Restorable cluster("sqlite");
  World& world = cluster.world;
  REQUIRE(world.run({"certs", "rotate", "a", "--authorities", "--drop-old", "--yes"}) == 0);
  world.engine.restarted.clear();
  REQUIRE(world.run({"restore", "a", "--id", cluster.id, "--yes", "--certificates"}) == 0);
  const std::set<std::string> restarted(world.engine.restarted.begin(), world.engine.restarted.end());
  for (const char* one : {"scheduler", "controller-manager", "dns", "kubelet-1", "kubelet-2", "kube-proxy-1"})
    CHECK(restarted.contains(std::string("a.") + one));
  CHECK_FALSE(restarted.contains("a.node-1"));
  CHECK(world.run({"certs", "check", "a"}) == 0);
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("a restore of containers killed anywhere leaves one of both stores, and a cluster that serves") {
  const std::string mode = GENERATE(as<std::string>(), "sqlite", "etcd");
  std::set<std::string> seen;
  for (int n = 1;; n += stride(2)) {
    Restorable cluster(mode);
    World& world = cluster.world;
    if (!crashes_at(world, {"restore", "a", "--id", cluster.id, "--yes", "--no-snapshot"}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    CHECK(world.run({"status", "a"}) == 0);
    const bool is_old = contains(cluster.held(), "old");
    CHECK(is_old != contains(cluster.held(), "new"));
    seen.insert(is_old ? "old" : "new");
    CHECK_FALSE(fs::exists(world.home() / "clusters/a/restore"));
    REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
    world.check_nothing_is_left();
  }
  CHECK(seen == std::set<std::string>{"new", "old"});
}

TEST_CASE("a clone may be of another mode") {
  Restorable cluster("sqlite");
  World& world = cluster.world;
  REQUIRE(world.run({"clone", "b", "--from", cluster.id, "--mode", "etcd", "--nodes", "1"}) == 0);
  CHECK(contains(certs::read_text(world.home() / "clusters/b/data/etcd/member").value(), "old+adapted"));
  CHECK(world.things.has("component", "b.etcd"));
  CHECK_FALSE(world.things.has("component", "b.kubelet-2"));
  REQUIRE(world.run({"clone", "c", "--from", cluster.id, "--mode", "all-in-one"}) == 0);
  CHECK(contains(certs::read_text(world.home() / "clusters/c/data/store.db").value(), "old+adapted"));
  REQUIRE(world.run({"delete", "--all", "--yes", "--snapshots"}) == 0);
  world.check_nothing_is_left();
}
