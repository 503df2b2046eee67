// A cluster's settings as a file, and `create` of a cluster that is there already.
#include "launcher/config_file.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "launcher/command.h"
#include "launcher/new_cluster.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const std::string head = "apiVersion: rusternetes.io/v1alpha1\nkind: Cluster\n";  // two lines

const std::string whole = head + R"(metadata:
  name: web
mode: etcd
highlyAvailable: true
nodes: 3
engine: docker
networking:
  podCIDR: 10.200.0.0/16
  serviceCIDR: "10.97.0.0/20"
  networkCIDR: 10.220.1.0/24
  apiPort: 7443
  networkPolicy: off
  publish: ["8080:30080", 8443:30443]
keyAlgorithm: rsa
images:
  registry: example.test/rusternetes
  overrides:
    etcd: example.test/etcd:v3
wait: 2m
)";

std::string said_of(const std::string& text) {
  const auto read = read_config_file(text, "c.yaml");
  REQUIRE_FALSE(read);
  CHECK(read.error().is("ConfigBroken"));
  CHECK_FALSE(contains(read.error().message, "\n"));
  return read.error().message;
}

std::string write(const World& world, const std::string& text) {
  const std::string file = world.folder.path / "cluster.yaml";
  std::ofstream(file) << text;
  return file;
}

boost::json::object cluster_of(World& world, const std::string& name) {
  REQUIRE(world.run({"status", name, "--output", "json"}) == 0);
  return boost::json::parse(world.out.str()).as_object();
}

}  // namespace

TEST_CASE("every flag of create that says what the cluster is has one field") {
  std::set<std::string_view> with_field;
  for (const ConfigField& field : config_fields())
    if (!field.flag.empty()) CHECK(with_field.insert(field.flag).second);
  for (const Flag& flag : create_command().flags) {
    const bool is_about_the_command =
        flag.name == "--config" || flag.name == "--dry-run" || flag.name == "--yes";
    CHECK(with_field.contains(flag.name) != is_about_the_command);
  }
}

TEST_CASE("a file gives what flags would") {
  const auto read = read_config_file(whole, "c.yaml");
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  CHECK(read->name == "web");
  using Values = std::vector<std::string>;
  CHECK(read->flags.at("--ha") == Values{"true"});
  CHECK(read->flags.at("--nodes") == Values{"3"});
  CHECK(read->flags.at("--service-cidr") == Values{"10.97.0.0/20"});
  CHECK(read->flags.at("--publish") == Values{"8080:30080", "8443:30443"});
  CHECK(read->flags.at("--network-policy") == Values{"off"});
  CHECK(read->flags.at("--image") == Values{"etcd=example.test/etcd:v3"});
  CHECK(read->places.at("--pod-cidr").line == 10);
  CHECK(read_config_file(head, "c.yaml")->flags.empty());
  CHECK(read_config_file(head + "mode:\nnetworking: {podCIDR: null}\nwait: 0\n", "c.yaml")->flags.size() ==
        1);
}

TEST_CASE("the example has every field, and a cluster is made of it") {
  const std::string file = RUSTERNETES_SOURCE_DIR "/docs/cluster.yaml";
  const std::string text = certs::read_text(file).value();
  const auto read = read_config_file(text, file);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  for (const ConfigField& field : config_fields()) {
    INFO(field.path);
    const std::string word(field.path.substr(field.path.rfind('.') + 1));
    CHECK((field.flag.empty() || read->flags.contains(field.flag) || contains(text, "{" + word + ": ")));
  }
  World world;
  REQUIRE(world.run({"create", "--config", file}) == 0);
  CHECK(cluster_of(world, "example").at("nodes").as_array().size() == 3);
}

TEST_CASE("a file with anything else is refused with its line and the nearest name") {
  const auto said = [](const std::string& text, std::string_view part) {
    const std::string message = said_of(text);
    INFO(message);
    CHECK(contains(message, part));
  };
  said(head + "nodse: 3\n", "c.yaml: line 3: the file has no field \"nodse\"; did you mean \"nodes\"?");
  said(head + "networking:\n  podCidr: 10.1.0.0/16\n",
       "line 4: networking has no field \"podCidr\"; did you mean \"podCIDR\"?");
  said(head + "apiPort: 7443\n", "did you mean \"networking.apiPort\"?");
  said(head + "images: {zzzzzzzz: 1}\n", "there are registry, overrides");
  said(head + "mode: etcd\nnodes: 1\nmode: sqlite\n", "line 5: the file has two fields \"mode\"");
  said(head + "images: {overrides: {dns: a, dns: b}}\n", "images.overrides has two fields \"dns\"");
  said(head + "nodes: \"3\"\n", "line 3: nodes is a number, not \"3\"");
  said(head + "nodes: [1]\n", "line 3: nodes is a number");
  said(head + "highlyAvailable: on\n", "highlyAvailable is true or false, not \"on\"");
  said(head + "mode: true\n", "mode is a text, not \"true\"");
  said(head + "networking: 10.1.0.0/16\n", "networking is a mapping, not");
  said(head + "networking: {networkPolicy: maybe}\n", "networking.networkPolicy is on or off, not \"maybe\"");
  said(head + "networking: {publish: 8080:30080}\n", "networking.publish is a list");
  said(head + "networking:\n  publish:\n    - 8080\n",
       "line 5: each of networking.publish is a text, not \"8080\"");
  said(head + "wait: 60\n", "wait is a duration such as 60s, not \"60\"");
  said(head + "? [a]\n: 1\n", "the name of a field is expected");
  said("kind: Cluster\n", "its field apiVersion is missing, which is \"rusternetes.io/v1alpha1\"");
  said("apiVersion: v1\nkind: Cluster\n", "line 1: apiVersion is \"rusternetes.io/v1alpha1\", not \"v1\"");
  said("apiVersion: rusternetes.io/v1alpha1\nkind: Clusters\n", "kind is \"Cluster\", not \"Clusters\"");
  said("", "c.yaml: it is empty");
  said("- a\n", "it is not a Cluster of rusternetes.io/v1alpha1");
  said(head + "---\n" + head, "it has a second document");
  said(head + "mode: [\n", "it is not YAML");
  said("\t\n\x01", "c.yaml: it");
}

TEST_CASE("a cluster is made as its file says, and flags and the argument beat the file") {
  World world;
  world.engine.running = {"podman", "docker"};
  const std::string file = write(world, whole);
  REQUIRE(world.run({"create", "--config", file}) == 0);
  const auto web = cluster_of(world, "web");
  CHECK(web.at("mode") == "etcd");
  CHECK(web.at("engine") == "docker");
  CHECK(web.at("highlyAvailable").as_bool());
  CHECK(web.at("nodes").as_array().size() == 3);
  CHECK(web.at("server") == "https://127.0.0.1:7443");
  CHECK(web.at("publishedPorts").as_array().size() == 2);
  CHECK(world.things.names("image-docker").contains("example.test_etcd:v3"));
  REQUIRE(world.run({"delete", "web", "--yes"}) == 0);
  REQUIRE(world.run({"create", "other", "--config", file, "--nodes", "1", "--publish", "9000:30000",
                     "--image", "dns=example.test/dns:1"}) == 0);
  const auto other = cluster_of(world, "other");
  CHECK(other.at("nodes").as_array().size() == 1);
  CHECK(other.at("publishedPorts").as_array() == boost::json::array{"9000:30000"});
  CHECK(world.things.names("image-docker").contains("example.test_etcd:v3"));
  CHECK(world.things.names("image-docker").contains("example.test_dns:1"));
}

TEST_CASE("what a file says and cannot be is told by its line, and nothing is made") {
  World world;
  const auto refused = [&](const std::string& text, int code, std::string_view part) {
    CHECK(world.run({"create", "--config", write(world, text)}) == code);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), part));
    world.check_nothing_is_left();
  };
  refused(head + "nodse: 3\n", 2, "[ConfigBroken]");
  refused(head + "mode: etcd3\n", 2,
          "cluster.yaml: line 3: mode \"etcd3\" is not one of all-in-one, sqlite, etcd");
  refused(head + "networking:\n  apiPort: 70000\n", 2, "line 4: networking.apiPort \"70000\" is not a port");
  refused(head + "networking: {podCIDR: 10.1.0.0/30}\n", 2,
          "line 3: networking.podCIDR 10.1.0.0/30 is too small");
  refused(head + "metadata: {name: Web}\n", 2, "[InvalidName]");
  world.network.ranges = {"10.1.0.0/16"};
  refused(head + "networking: {podCIDR: 10.1.0.0/16}\n", 6,
          "line 3: networking.podCIDR 10.1.0.0/16 overlaps");
  CHECK(world.run({"create", "--config", "/no/such/file"}) == 3);
  CHECK(contains(world.err.str(), "/no/such/file"));
}

TEST_CASE(
    "create of a cluster that is there with the same settings brings it up, and else names the difference") {
  World world;
  world.engine.running = {"podman", "docker"};
  const std::string file = write(world, whole);
  REQUIRE(world.run({"create", "--config", file}) == 0);
  const auto before = world.things.all();
  REQUIRE(world.run({"create", "--config", file}) == 0);
  CHECK(contains(world.out.str(), "is there already and ready"));
  REQUIRE(world.run({"create", "web", "--output", "json"}) == 0);
  CHECK_FALSE(boost::json::parse(world.out.str()).at("created").as_bool());
  CHECK(world.things.all() == before);
  REQUIRE(world.run({"stop", "web", "--yes"}) == 0);
  REQUIRE(world.run({"create", "web", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "start \"web\" would do"));
  CHECK(world.run({"status", "web"}) == 9);
  REQUIRE(world.run({"create", "--config", file}) == 0);
  CHECK(contains(world.out.str(), "is there already, was started and ready"));
  CHECK(world.run({"status", "web"}) == 0);
  REQUIRE(world.run({"create", "web", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "would do nothing"));
  const auto differs = [&](const std::vector<std::string>& flags, std::string_view part) {
    std::vector<std::string> words{"create", "web"};
    words.insert(words.end(), flags.begin(), flags.end());
    CHECK(world.run(words) == 4);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), part));
    CHECK(contains(world.err.str(), "[ClusterExists]"));
  };
  differs({"--mode", "sqlite"}, "--mode is etcd there, not sqlite");
  differs({"--ha", "--nodes", "2"}, "--nodes is 3 there, not 2");
  differs({"--engine", "podman"}, "--engine is docker there, not podman");
  differs({"--publish", "8080:30080"}, "--publish is 8080:30080, 8443:30443 there, not 8080:30080");
  differs({"--ha", "--image", "dns=example.test/dns:1"}, "not dns=example.test/dns:1");
  std::string changed = whole;
  changed.replace(changed.find("10.200"), 6, "10.201");
  differs({"--config", write(world, changed)},
          "networking.podCIDR is 10.200.0.0/16 there, not 10.201.0.0/16");
  CHECK(world.things.all() == before);
}

TEST_CASE("the manifest is printed before and after the cluster is made, and is the same") {
  World world;
  REQUIRE(world.run({"manifest", "a", "--mode", "sqlite", "--nodes", "1"}) == 0);
  const std::string planned = world.out.str();
  REQUIRE(read_manifest(planned));
  world.check_nothing_is_left();
  REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), planned));
  REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1", "--dry-run", "--output", "json"}) ==
          0);
  CHECK(boost::json::parse(world.out.str()).at("manifest").as_string() == planned);
  world.check_nothing_is_left();
  REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1"}) == 0);
  REQUIRE(world.run({"manifest", "a"}) == 0);
  CHECK(world.out.str() == planned);
  CHECK(world.out.str() == certs::read_text(world.home() / "clusters/a/compose.yaml").value());
  CHECK(world.run({"manifest", "a", "--mode", "etcd"}) == 4);
  CHECK(world.run({"manifest", "b"}) == 2);
  CHECK(contains(world.err.str(), "is one process and has no manifest"));
}
