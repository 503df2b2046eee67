// A new cluster of what another Kubernetes cluster's etcd held.
#include "crash.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct Importable {
  Importable() {
    std::ofstream(file) << "etcd 20 3 theirs\n";
    world.store->foreign_cidrs = {"10.96.0.0/12"};
  }
  Words words() const { return {"migrate", "new", "--from-etcd-snapshot", file}; }
  int import(const Words& flags) {
    Words all = words();
    all.insert(all.end(), flags.begin(), flags.end());
    return world.run(all);
  }
  void delete_all() {
    REQUIRE(world.run({"delete", "new", "--yes"}) == 0);
    world.check_nothing_is_left();
  }
  World world;
  std::string file = world.folder.path / "kubeadm.db";
};

}  // namespace

TEST_CASE("another cluster's etcd becomes a cluster of any mode, with its Services' range if nobody has it") {
  Importable from;
  World& world = from.world;
  const fs::path data = world.home() / "clusters/new/data";
  const int code = from.import({});
  INFO(world.err.str());
  REQUIRE(code == 0);
  CHECK(contains(world.out.str(), "Cluster \"new\" is ready with the objects in " + from.file));
  CHECK(certs::read_text(data / "store.db").value() == "1000000020 3 theirs+adapted\n");
  const Adaptation& adaptation = world.store->adaptations.back();
  CHECK(adaptation.is_foreign);
  CHECK(adaptation.service_cidrs_before == std::vector<std::string>{"10.96.0.0/12"});
  CHECK(adaptation.service_cidrs == adaptation.service_cidrs_before);
  from.delete_all();

  world.network.ranges = {"10.100.0.0/24"};  // in the way of that range
  REQUIRE(from.import({"--mode", "etcd", "--nodes", "1", "--output", "json"}) == 0);
  CHECK(contains(world.out.str(), R"("from":{"file":")" + from.file));
  CHECK(contains(certs::read_text(data / "etcd/member").value(), "1000000020 3 theirs+adapted"));
  CHECK(world.store->adaptations.back().service_cidrs != std::vector<std::string>{"10.96.0.0/12"});
  from.delete_all();

  REQUIRE(from.import({"--mode", "sqlite", "--service-cidr", "10.120.0.0/16"}) == 0);
  CHECK(certs::read_text(data / "rhino/store.db").value() == "1000000020 3 theirs+adapted\n");
  CHECK(world.store->adaptations.back().service_cidrs == std::vector<std::string>{"10.120.0.0/16"});
  from.delete_all();
}

TEST_CASE("what cannot be taken over is refused, and nothing is made") {
  Importable from;
  World& world = from.world;
  const auto refused = [&](const Words& words, int code, std::string_view said) {
    CHECK(world.run(words) == code);
    INFO(world.err.str());
    CHECK(contains(world.err.str(), said));
    world.check_nothing_is_left();
  };
  refused({"migrate", "--from-etcd-snapshot", from.file}, 2, "needs the NAME of the new cluster");
  refused({"migrate", "new", "--from-etcd-snapshot", from.file + "x"}, 3, "[NotFound]");
  refused({"migrate", "new", "--from-etcd-snapshot", from.file, "--no-snapshot"}, 2,
          "for a cluster that is there");
  refused({"migrate", "new", "--mode", "etcd", "--nodes", "2"}, 2, "with --from-etcd-snapshot");
  refused({"migrate", "new", "--from-etcd-snapshot", from.file, "--mode", "mysql"}, 2, "is not one of");
  world.store->foreign_error = "EncryptedAtRest";
  refused(from.words(), 12, "[EncryptedAtRest]");
  CHECK(contains(world.err.str(), "identity"));
  world.store->foreign_error.clear();
  std::ofstream(from.file) << "something else\n";
  refused(from.words(), 12, "[EtcdSnapshotForeign]");
  std::ofstream(from.file) << "etcd 20 3 theirs\n";
  const auto dry = from.import({"--dry-run"});
  CHECK(dry == 0);
  CHECK(contains(world.out.str(), "without what is of that cluster alone"));
  world.check_nothing_is_left();
  REQUIRE(world.run({"create", "new"}) == 0);
  CHECK(from.import({}) == 4);
}

TEST_CASE("an import killed anywhere is there or not") {
  std::map<std::string, int> verdicts;
  int n = 1;
  for (;; n += stride(2)) {
    Importable from;
    World& world = from.world;
    if (!crashes_at(world, from.words(), n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    const bool is_there = world.out.str() == "new\n";
    ++verdicts[verdict(world)];
    if (is_there) {
      CHECK(certs::read_text(world.home() / "clusters/new/data/store.db").value() ==
            "1000000020 3 theirs+adapted\n");
      CHECK(world.run({"status", "new"}) == 0);
      from.delete_all();
    }
    world.check_nothing_is_left();
  }
  CHECK(n > 30);
  CHECK(verdicts["finished"] >= 2);
  CHECK(verdicts["undone"] >= 10);
}
