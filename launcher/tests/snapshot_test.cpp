// snapshot, restore and clone on the made-up host.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "launcher/snapshots.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

boost::json::value json_of(const World& world) { return boost::json::parse(world.out.str()); }

fs::path store_of(const World& world, const std::string& cluster) {
  return world.home() / "clusters" / cluster / "data/store.db";
}

void write_store(const World& world, const std::string& cluster, const std::string& text) {
  std::ofstream(store_of(world, cluster)) << text << "\n";
}

std::string store_text(const World& world, const std::string& cluster) {
  const std::string text = certs::read_text(store_of(world, cluster)).value();
  return text.substr(0, text.find('\n'));
}

World& with_cluster(World& world) {
  REQUIRE(world.run({"create", "a"}) == 0);
  write_store(world, "a", "100 7 first");
  return world;
}

std::string take(World& world, std::vector<std::string> more = {}) {
  std::vector<std::string> words{"snapshot", "create", "a", "--output", "json"};
  words.insert(words.end(), more.begin(), more.end());
  REQUIRE(world.run(words) == 0);
  return std::string(json_of(world).at("snapshot").at("id").as_string());
}

fs::path file_of(const World& world, const std::string& id) {
  return world.home() / "snapshots/a" / (id + ".snapshot");
}

std::string passphrase(const World& world, const std::string& text) {
  const fs::path file = world.folder.path / ("passphrase-" + text);
  std::ofstream(file) << text << "\nnot this line\n";
  return file.string();
}

std::size_t snapshot_count(World& world) {
  REQUIRE(world.run({"snapshot", "list", "--all", "--output", "json"}) == 0);
  return json_of(world).at("snapshots").as_array().size();
}

// Nothing of a snapshot, a restore or a clone that was cut off.
void check_is_tidy(const World& world, const std::string& cluster) {
  const fs::path root = world.home() / "clusters" / cluster;
  CHECK_FALSE(fs::exists(root / "snapshot"));
  CHECK_FALSE(fs::exists(root / "restore"));
}

}  // namespace

TEST_CASE("a snapshot of a running cluster holds store, certificates and settings, and is listed") {
  World world;
  with_cluster(world);
  const std::string id = take(world, {"--note", "before the upgrade"});
  CHECK(id.size() == 15);
  CHECK((fs::status(file_of(world, id)).permissions() & fs::perms(0777)) == fs::perms(0600));
  CHECK((fs::status(world.home() / "snapshots/a").permissions() & fs::perms(0777)) == fs::perms(0700));
  check_is_tidy(world, "a");
  REQUIRE(world.run({"snapshot", "list", "a"}) == 0);
  for (const char* part : {id.c_str(), " a ", " 100 ", " 7 ", "no", "all-in-one", "before the upgrade"})
    CHECK(contains(world.out.str(), part));
  REQUIRE(world.run({"snapshot", "inspect", "--id", id, "--output", "json"}) == 0);
  const auto all = json_of(world);
  const auto& json = all.at("snapshot");
  CHECK(json.at("revision") == 100);
  CHECK(json.at("objects") == 7);
  CHECK(json.at("settings").at("name") == "a");
  std::vector<std::string> members;
  for (const auto& member : json.at("members").as_array())
    members.emplace_back(member.at("name").as_string());
  for (const char* member : {"cluster.json", "store.db", "pki/ca.key", "pki/sa.key"})
    CHECK(std::count(members.begin(), members.end(), member) == 1);
  CHECK(take(world) != id);  // within the same second
  CHECK(snapshot_count(world) == 2);
}

TEST_CASE("a snapshot of a stopped cluster is of its file, and of one that is not there of nothing") {
  World world;
  with_cluster(world);
  REQUIRE(world.run({"stop", "a"}) == 0);
  const std::string id = take(world);
  CHECK(fs::exists(file_of(world, id)));
  CHECK(world.run({"snapshot", "b"}) == 3);
  CHECK(contains(world.err.str(), "[ClusterNotFound]"));
}

TEST_CASE("a snapshot that cannot be written leaves nothing, and says why") {
  World world;
  with_cluster(world);
  SECTION("a full disk") {
    world.store->broken = "the disk is full";
    world.store->broken_id = "NoSpace";
    CHECK(world.run({"snapshot", "a"}) == 14);
    CHECK(contains(world.err.str(), "[NoSpace]"));
  }
  SECTION("a process that does not answer") {
    world.store->is_socket_dead = true;
    CHECK(world.run({"snapshot", "a"}) == 9);
    CHECK(contains(world.err.str(), "[StoreUnreachable]"));
  }
  SECTION("no store") {
    fs::remove(store_of(world, "a"));
    CHECK(world.run({"snapshot", "a"}) == 3);
  }
  check_is_tidy(world, "a");
  CHECK_FALSE(fs::exists(world.home() / "snapshots"));
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("a dry run of snapshot, restore and clone says what would be done and does nothing") {
  World world;
  with_cluster(world);
  REQUIRE(world.run({"snapshot", "a", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "snapshot \"a\" would do:"));
  CHECK(snapshot_count(world) == 0);
  const std::string id = take(world);
  write_store(world, "a", "200 8 second");
  REQUIRE(world.run({"restore", "a", "--id", id, "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "Stop rusternetes; Pods run on"));
  REQUIRE(world.run({"clone", "b", "--from", id, "--dry-run"}) == 0);
  CHECK(contains(world.out.str(), "clone \"b\" would do:"));
  CHECK(snapshot_count(world) == 1);
  CHECK(store_text(world, "a") == "200 8 second");
  CHECK_FALSE(fs::exists(world.home() / "clusters/b"));
}

TEST_CASE("restore puts the store back, beyond every revision that was seen, and keeps what was there") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  write_store(world, "a", "250 8 second");
  world.http.revision = "250";
  CHECK(world.run({"restore", "a", "--id", id}) == 2);  // nobody to ask
  CHECK(contains(world.err.str(), "150 revisions since then are dropped. Restore cluster \"a\""));
  CHECK(snapshot_count(world) == 1);
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes", "--output", "json"}) == 0);
  const auto json = json_of(world);
  CHECK(json.at("droppedRevisions") == 150);
  CHECK(json.at("ready") == true);
  CHECK(store_text(world, "a") == "1000000250 7 first");
  check_is_tidy(world, "a");
  CHECK(world.things.has("released", "a"));
  CHECK(world.things.text("container", "a.app") == "running");
  CHECK(world.run({"status", "a"}) == 0);

  SECTION("and what was there can be put back") {
    const std::string before(json.at("before").as_string());
    world.http.revision = "1000000260";
    world.is_input_terminal = true;
    world.in.str("n\n");
    CHECK(world.run({"restore", "a", "--id", before}) == 2);
    CHECK(contains(world.err.str(), "10 revisions since then are dropped, and 1 restore."));
    write_store(world, "a", "1000000260 7 third");
    REQUIRE(world.run({"restore", "a", "--id", before, "--yes", "--no-snapshot"}) == 0);
    CHECK(store_text(world, "a") == "2000000260 8 second");
    CHECK(snapshot_count(world) == 2);
  }
  SECTION("the same snapshot again goes beyond that, too") {
    world.http.revision = "1000000300";
    write_store(world, "a", "1000000300 7 third");
    REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
    CHECK(store_text(world, "a") == "2000000300 7 first");
  }
}

TEST_CASE("restore of a stopped cluster leaves it stopped") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  REQUIRE(world.run({"stop", "a"}) == 0);
  write_store(world, "a", "300 8 second");
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
  CHECK(contains(world.out.str(), "`rusternetes-ctl start` starts it"));
  CHECK(store_text(world, "a") == "1000000300 7 first");
  CHECK(world.run({"status", "a"}) == 9);
  CHECK_FALSE(world.things.has("released", "a"));
  REQUIRE(world.run({"start", "a"}) == 0);
}

TEST_CASE("a store that cannot be read is replaced, and kept beside the new one") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  REQUIRE(world.run({"stop", "a"}) == 0);
  write_store(world, "a", "garbage");
  world.store->broken = "the file is damaged";
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
  CHECK(store_text(world, "a") == "11000000100 7 first");
  CHECK(contains(certs::read_text(world.home() / "clusters/a/data/replaced.db").value(), "garbage"));
  CHECK(snapshot_count(world) == 1);
}

TEST_CASE("a restore that cannot keep the present state changes nothing unless it is told so") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  write_store(world, "a", "200 8 second");
  world.store->is_socket_dead = true;
  CHECK(world.run({"restore", "a", "--id", id, "--yes"}) == 9);
  CHECK(contains(world.err.str(), "--no-snapshot restores without keeping"));
  CHECK(store_text(world, "a") == "200 8 second");
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes", "--no-snapshot"}) == 0);
  CHECK(contains(store_text(world, "a"), "first"));
}

TEST_CASE("a restore whose step fails is undone: the process runs on the store it had") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  write_store(world, "a", "200 8 second");
  std::ofstream(store_of(world, "a").string() + "-wal") << "log";
  world.faults.by_call["hold"] = "it does not end";
  CHECK(world.run({"restore", "a", "--id", id, "--yes"}) != 0);
  CHECK(store_text(world, "a") == "200 8 second");
  CHECK(certs::read_text(store_of(world, "a").string() + "-wal").value() == "log");
  CHECK(world.things.has("released", "a"));
  check_is_tidy(world, "a");
}

TEST_CASE("the log of the old store does not stay beside the new one") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  std::ofstream(store_of(world, "a").string() + "-wal") << "log";
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
  CHECK_FALSE(fs::exists(store_of(world, "a").string() + "-wal"));
}

TEST_CASE("certificates come back only when asked for, or when there are none") {
  World world;
  with_cluster(world);
  const auto authority = [&] { return certs::read_text(world.home() / "clusters/a/pki/ca.crt").value(); };
  const std::string id = take(world);
  const std::string first = authority();
  fs::remove_all(world.home() / "clusters/a/pki");
  REQUIRE(world.run({"restart", "a"}) == 0);
  const std::string second = authority();
  REQUIRE(first != second);
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
  CHECK(authority() == second);
  SECTION("asked for") { REQUIRE(world.run({"restore", "a", "--id", id, "--yes", "--certificates"}) == 0); }
  SECTION("gone") {
    fs::remove_all(world.home() / "clusters/a/pki");
    REQUIRE(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
  }
  CHECK(authority() == first);
  CHECK(contains(certs::read_text(world.home() / "clusters/a/kubeconfig").value(), "rusternetes-a"));
  CHECK(world.run({"certs", "check", "a"}) == 0);
  check_is_tidy(world, "a");
}

TEST_CASE("another cluster's snapshot is not put under this one") {
  World world;
  with_cluster(world);
  REQUIRE(world.run({"create", "b"}) == 0);
  write_store(world, "b", "5 1 other");
  const std::string id = take(world);
  CHECK(world.run({"restore", "b", "--id", id, "--yes"}) == 6);
  CHECK(contains(world.err.str(), "[SnapshotOfAnother]"));
  CHECK(store_text(world, "b") == "5 1 other");
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  REQUIRE(world.run({"create", "a", "--pod-cidr", "10.200.0.0/16"}) == 0);
  CHECK(world.run({"restore", "a", "--id", id, "--yes"}) == 6);
  CHECK(contains(world.err.str(), "an earlier cluster \"a\""));
}

TEST_CASE("a clone gets ranges, port and certificates of its own and the original's node name") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  REQUIRE(world.run({"clone", "b", "--from", id}) == 0);
  CHECK(contains(world.out.str(), "Cluster \"b\" is ready with the objects of \"a\""));
  CHECK(store_text(world, "b") == "1000000100 7 first+adapted");
  CHECK(store_text(world, "a") == "100 7 first");
  check_is_tidy(world, "b");
  REQUIRE(world.store->adaptations.size() == 1);
  CHECK(world.store->adaptations[0].service_cidrs_before == std::vector<std::string>{"10.96.0.0/16"});
  CHECK(world.store->adaptations[0].service_cidrs == std::vector<std::string>{"10.97.0.0/16"});
  REQUIRE(world.run({"status", "b", "--output", "json"}) == 0);
  CHECK(json_of(world).at("server") == "https://127.0.0.1:6444");
  CHECK(json_of(world).at("nodeName") == "a");
  CHECK(json_of(world).at("podCIDRs").at(0) == "10.245.0.0/16");
  CHECK(certs::read_text(world.home() / "clusters/a/pki/ca.crt").value() !=
        certs::read_text(world.home() / "clusters/b/pki/ca.crt").value());
  CHECK(world.run({"clone", "b", "--from", id}) == 4);
  REQUIRE(world.run({"delete", "b", "--yes"}) == 0);
  REQUIRE(world.run({"delete", "a", "--yes", "--snapshots"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("clone of a living cluster takes the snapshot itself") {
  World world;
  with_cluster(world);
  REQUIRE(world.run({"clone", "b", "--from-cluster", "a"}) == 0);
  CHECK(contains(store_text(world, "b"), "first+adapted"));
  CHECK(snapshot_count(world) == 1);
  CHECK(world.run({"clone", "c", "--from-cluster", "nobody"}) == 3);
  CHECK(world.run({"clone", "--from-cluster", "a"}) == 2);
  CHECK(world.run({"clone", "c", "--from-cluster", "a", "--from", "x"}) == 2);
}

TEST_CASE("a cluster that is gone comes back with its ranges and its port, and if asked its certificates") {
  World world;
  with_cluster(world);
  const std::string authority = certs::read_text(world.home() / "clusters/a/pki/ca.crt").value();
  REQUIRE(world.run({"create", "other"}) == 0);
  const std::string id = take(world);
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  CHECK(contains(world.err.str(), "1 snapshot stays in"));
  REQUIRE(world.run({"restore", "a", "--id", id, "--certificates"}) == 0);
  CHECK(world.store->adaptations.back().service_cidrs == std::vector<std::string>{"10.96.0.0/16"});
  CHECK(certs::read_text(world.home() / "clusters/a/pki/ca.crt").value() == authority);
  REQUIRE(world.run({"status", "a", "--output", "json"}) == 0);
  CHECK(json_of(world).at("server") == "https://127.0.0.1:6443");
  // It can be put back into that, too, which is said to be another cluster.
  CHECK(world.run({"restore", "a", "--id", id}) == 2);
  CHECK(contains(world.err.str(), "of an earlier cluster of this name"));
  CHECK(world.run({"restore", "a", "--id", id, "--yes"}) == 0);
}

TEST_CASE("an encrypted snapshot goes out and comes in, and opens with its passphrase alone") {
  World world;
  with_cluster(world);
  const std::string right = passphrase(world, "right"), wrong = passphrase(world, "wrong");
  const std::string id = take(world, {"--passphrase-file", right});
  const std::string file = (world.folder.path / "out.snapshot").string();
  REQUIRE(world.run({"snapshot", "list", "a", "--output", "json"}) == 0);
  CHECK(json_of(world).at("snapshots").at(0).at("encrypted") == true);
  REQUIRE(world.run({"snapshot", "export", "a", "--id", id, "--file", file}) == 0);
  CHECK(world.run({"snapshot", "export", "a", "--id", id, "--file", file}) == 4);
  CHECK(contains(world.err.str(), "[FileInTheWay]"));
  CHECK(world.run({"snapshot", "delete", "--id", id}) == 2);
  REQUIRE(world.run({"snapshot", "delete", "--id", id, "--yes"}) == 0);
  CHECK_FALSE(fs::exists(world.home() / "snapshots"));
  CHECK(world.run({"snapshot", "import", "--file", file}) == 13);
  CHECK(contains(world.err.str(), "[PassphraseNeeded]"));
  CHECK(world.run({"snapshot", "import", "--file", file, "--passphrase-file", wrong}) == 13);
  CHECK(contains(world.err.str(), "[PassphraseWrong]"));
  CHECK_FALSE(fs::exists(world.home() / "snapshots"));
  REQUIRE(world.run({"snapshot", "import", "--file", file, "--passphrase-file", right}) == 0);
  CHECK(fs::exists(file_of(world, id)));
  write_store(world, "a", "200 8 second");
  CHECK(world.run({"restore", "a", "--id", id, "--yes"}) == 13);
  CHECK(store_text(world, "a") == "200 8 second");
  REQUIRE(world.run({"restore", "a", "--id", id, "--yes", "--passphrase-file", right}) == 0);
  CHECK(contains(store_text(world, "a"), "first"));
  // What was there is kept as secret as what came.
  REQUIRE(world.run({"snapshot", "list", "a", "--output", "json"}) == 0);
  const auto listed = json_of(world);
  CHECK(listed.at("snapshots").as_array().size() == 2);
  for (const auto& one : listed.at("snapshots").as_array()) CHECK(one.at("encrypted") == true);
}

TEST_CASE("a file that is cut, damaged or no snapshot at all is refused and changes nothing") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  const fs::path bad = world.folder.path / "bad.snapshot";
  std::string text = certs::read_text(file_of(world, id)).value();
  std::string reason;
  SECTION("cut") {
    text.resize(text.size() - 10);
    reason = "SnapshotCut";
  }
  SECTION("damaged") {
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
    reason = "SnapshotDamaged";
  }
  SECTION("foreign") {
    text = "apiVersion: v1\n";
    reason = "SnapshotForeign";
  }
  std::ofstream(bad) << text;
  write_store(world, "a", "200 8 second");
  const std::vector<std::vector<std::string>> all{{"restore", "a", "--yes", "--file", bad.string()},
                                                  {"clone", "b", "--file", bad.string()},
                                                  {"snapshot", "import", "--file", bad.string()},
                                                  {"snapshot", "inspect", "--file", bad.string()}};
  for (const auto& words : all) {
    INFO(words[0] << " " << words[1]);
    CHECK(world.run(words) == 12);
    CHECK(contains(world.err.str(), "[" + reason + "]"));
  }
  CHECK(store_text(world, "a") == "200 8 second");
  CHECK(world.things.has("released", "a"));
  check_is_tidy(world, "a");
  REQUIRE(world.run({"list", "--names"}) == 0);
  CHECK(world.out.str() == "a\n");
}

TEST_CASE("list shows a damaged snapshot beside the others, and a wrong id is told with the nearest") {
  World world;
  with_cluster(world);
  const std::string id = take(world);
  std::ofstream(world.home() / "snapshots/a/broken.snapshot") << "x";
  REQUIRE(world.run({"snapshot", "list", "a"}) == 0);
  CHECK(contains(world.out.str(), "is not a snapshot"));
  CHECK(contains(world.out.str(), id));
  CHECK(world.run({"restore", "a", "--id", id.substr(0, id.size() - 1), "--yes"}) == 3);
  CHECK(contains(world.err.str(), "did you mean " + id));
  CHECK(contains(world.err.str(), "[SnapshotNotFound]"));
  CHECK(world.run({"restore", "a"}) == 2);
  CHECK(world.run({"restore", "a", "--id", id, "--yes", "--api-port", "7000"}) == 2);
  CHECK(contains(world.err.str(), "--api-port is for a cluster that is not there yet"));
}

TEST_CASE("--keep removes the oldest snapshots of the cluster, and nothing else") {
  World world;
  with_cluster(world);
  REQUIRE(world.run({"create", "b"}) == 0);
  write_store(world, "b", "5 1 other");
  REQUIRE(world.run({"snapshot", "b"}) == 0);
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(take(world));
  std::ofstream(world.home() / "snapshots/a/broken.snapshot") << "x";
  CHECK(world.run({"snapshot", "a", "--keep", "0"}) == 2);
  CHECK(world.run({"snapshot", "a", "--keep", "x"}) == 2);
  REQUIRE(world.run({"snapshot", "a", "--keep", "3", "--output", "json"}) == 0);
  CHECK(json_of(world).at("snapshot").at("removed").as_array().size() == 10);
  CHECK(fs::exists(file_of(world, std::string(json_of(world).at("snapshot").at("id").as_string()))));
  CHECK(fs::exists(file_of(world, ids[11])));
  CHECK(fs::exists(file_of(world, ids[10])));
  for (int i = 0; i < 10; ++i) CHECK_FALSE(fs::exists(file_of(world, ids[static_cast<std::size_t>(i)])));
  CHECK(fs::exists(file_of(world, "broken")));
  CHECK(fs::exists(world.home() / "snapshots/b"));
  CHECK(snapshot_count(world) == 5);
}

TEST_CASE("what lies between two revisions of a cluster is told apart from its restores") {
  CHECK(distance(100, 250).revisions == 150);
  CHECK(distance(100, 250).restores == 0);
  CHECK(distance(100, 2 * restore_bump + 107).restores == 2);
  CHECK(distance(100, 2 * restore_bump + 107).revisions == 7);
  CHECK(distance(250, 100).revisions == 0);
}

TEST_CASE("sizes and ages are told in units that are read at a glance") {
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(3 << 20) == "3.0 MiB");
  CHECK(duration_text(1) == "1 second");
  CHECK(duration_text(7199) == "119 minutes");
  CHECK(duration_text(-5) == "0 seconds");
  CHECK(duration_text(200'000) == "2 days");
}

TEST_CASE("what a snapshot says of its cluster is not believed where it would become an argument or a path") {
  ClusterSettings settings{.name = "a", .node_name = "a-1.b"};
  CHECK(snapshot_cluster_from_json(to_json(SnapshotCluster{settings, "1", "v1.35"}))->settings.node_name ==
        "a-1.b");
  for (const char* name : {"", "../x", "-a", "a..b", "a b", "A", "a/b", "a."}) {
    settings.node_name = name;
    CHECK(snapshot_cluster_from_json(to_json(SnapshotCluster{settings, "1", "v1.35"}))
              .error()
              .is("SnapshotDamaged"));
  }
  for (const char* text : {"", "[]", "{}", R"({"settings":7})"})
    CHECK(snapshot_cluster_from_json(text).error().is("SnapshotDamaged"));
}
