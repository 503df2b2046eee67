// New authorities and a new key of tokens: what the files, the components and the user see of it at each
// turn.
#include "launcher/rotation.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "certs/file.h"
#include "crash.h"
#include "launcher/containers/topology.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using certs::RotationPhase;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

fs::path folder_of(const World& world) { return world.home() / "clusters/a"; }
std::string text_of(const fs::path& path) {
  const auto text = certs::read_text(path);
  INFO(path.string());
  REQUIRE(text);
  return *text;
}
std::size_t blocks_in(const fs::path& path) { return certs::pem_blocks(text_of(path)).size(); }

RotationPhase phase(const World& world, const char* subject) {
  const auto found = certs::rotation_phase(folder_of(world) / "pki", subject);
  REQUIRE(found);
  return *found;
}

// "etcd": highly available.
void create(World& world, const std::string& mode) {
  Words words{"create", "a"};
  if (mode == "etcd") words.insert(words.end(), {"--mode", "etcd", "--ha"});
  if (mode == "sqlite") words.insert(words.end(), {"--mode", "sqlite"});
  const int code = world.run(words);
  INFO(world.err.str());
  REQUIRE(code == 0);
}

const std::vector<std::string>& subjects_of(const std::string& mode) {
  static const std::vector<std::string> one{"ca", "front-proxy-ca", "sa"},
      many{"ca", "etcd/ca", "front-proxy-ca", "sa"};
  return mode == "all-in-one" ? one : many;
}

// What a component, and the user, go by is what the folder of certificates says.
void check_files_agree(const World& world, const std::string& mode) {
  const fs::path root = folder_of(world);
  CHECK(contains(text_of(world.kubeconfig()), "client-certificate-data"));
  const std::string own = text_of(root / "kubeconfig");
  const auto line = own.find("certificate-authority-data: ");
  CHECK(contains(text_of(world.kubeconfig()), own.substr(line, own.find('\n', line) - line)));
  if (mode == "all-in-one") return;
  for (const char* component : {"api-server", "api-server-1"})
    if (fs::exists(root / "components" / component)) {
      CHECK(text_of(root / "components" / component / "ca.crt") == text_of(root / "pki/ca.crt"));
      CHECK(text_of(root / "components" / component / "sa.pub") == text_of(root / "pki/sa.pub"));
      CHECK(text_of(root / "components" / component / "etcd-ca.crt") == text_of(root / "pki/etcd/ca.crt"));
    }
}

void check_phase(const World& world, const std::string& mode, RotationPhase wanted) {
  for (const std::string& subject : subjects_of(mode)) {
    INFO(subject);
    CHECK(phase(world, subject.c_str()) == wanted);
  }
  check_files_agree(world, mode);
}

}  // namespace

TEST_CASE("authorities are replaced beside the old ones, which a second command drops") {
  const std::string mode = GENERATE(as<std::string>(), "all-in-one", "sqlite", "etcd");
  World world;
  create(world, mode);
  const fs::path pki = folder_of(world) / "pki";
  std::map<std::string, std::string> before;
  for (const std::string& subject : subjects_of(mode)) before[subject] = text_of(pki / (subject + ".key"));
  const int code = world.run({"certs", "rotate", "a", "--authorities"});
  INFO(world.err.str());
  REQUIRE(code == 0);
  CHECK(contains(world.out.str(), "rusternetes-ctl certs rotate a --drop-old"));
  check_phase(world, mode, RotationPhase::new_signs);
  for (const auto& [subject, key] : before) CHECK(text_of(pki / (subject + ".key")) != key);
  CHECK(blocks_in(pki / "ca.crt") == 2);
  // Every process has read the files twice.
  if (mode == "all-in-one") CHECK(world.process.restarted == 2);
  std::map<std::string, int> restarts;
  for (const std::string& id : world.engine.restarted) ++restarts[id];
  for (const auto& [id, times] : restarts) {
    INFO(id);
    // etcd reads its own certificate by itself; of other authorities it hears when it starts.
    CHECK(times == (contains(id, "a.etcd-") ? 1 : 2));
    CHECK_FALSE(contains(id, "node-"));
    CHECK_FALSE(contains(id, "api-proxy"));  // reads them by itself, and holds everybody's connections
  }
  CHECK(restarts.size() == (mode == "all-in-one" ? 0u : mode == "sqlite" ? 10u : 17u));

  REQUIRE(world.run({"certs", "check", "a"}) == 0);
  CHECK(contains(world.out.str(), "A rotation is under way: of ca, "));
  REQUIRE(world.run({"certs", "list", "a"}) == 0);
  CHECK(contains(world.out.str(), "(trusted, signs nothing)"));
  CHECK(world.run({"status", "a"}) == 0);
  // Not another one before this one has ended.
  CHECK(world.run({"certs", "rotate", "a", "--authorities"}) == 9);
  CHECK(contains(world.err.str(), "--drop-old"));
  // And leaves, which are of the new ones.
  REQUIRE(world.run({"certs", "rotate", "a"}) == 0);
  check_phase(world, mode, RotationPhase::new_signs);

  CHECK(world.run({"certs", "rotate", "a", "--drop-old"}) == 2);  // nobody has said yes
  check_phase(world, mode, RotationPhase::new_signs);
  REQUIRE(world.run({"certs", "rotate", "a", "--drop-old", "--yes"}) == 0);
  check_phase(world, mode, RotationPhase::none);
  CHECK(blocks_in(pki / "ca.crt") == 1);
  REQUIRE(world.run({"certs", "list", "a", "--output", "json"}) == 0);
  CHECK(boost::json::parse(world.out.str()).at("rotation").at("ca").as_string() == "None");
  REQUIRE(world.run({"certs", "rotate", "a", "--drop-old", "--yes"}) == 0);
  CHECK(contains(world.out.str(), "nothing to drop"));
}

TEST_CASE("authorities are replaced at once with --drop-old, and by themselves with --authority") {
  World world;
  create(world, "sqlite");
  REQUIRE(world.run({"certs", "rotate", "a", "--authority", "etcd/ca", "--authority", "sa"}) == 0);
  CHECK(phase(world, "etcd/ca") == RotationPhase::new_signs);
  CHECK(phase(world, "sa") == RotationPhase::new_signs);
  CHECK(phase(world, "ca") == RotationPhase::none);
  REQUIRE(world.run({"certs", "rotate", "a", "--authorities", "--drop-old", "--yes"}) == 0);
  check_phase(world, "sqlite", RotationPhase::none);
  CHECK(world.run({"certs", "rotate", "a", "--authority", "admin"}) == 2);
  CHECK(contains(world.err.str(), "the cluster has ca, etcd/ca, front-proxy-ca, sa"));
  CHECK(world.run({"certs", "rotate", "a", "--authority", "ca", "--authorities"}) == 2);
}

TEST_CASE("a stopped cluster gets new authorities without anything to restart") {
  const std::string mode = GENERATE(as<std::string>(), "all-in-one", "sqlite");
  World world;
  create(world, mode);
  REQUIRE(world.run({"stop", "a"}) == 0);
  REQUIRE(world.run({"certs", "rotate", "a", "--authorities"}) == 0);
  CHECK(world.process.restarted == 0);
  CHECK(world.engine.restarted.empty());
  REQUIRE(world.run({"start", "a"}) == 0);
  check_phase(world, mode, RotationPhase::new_signs);
  // What is renewed at a start is renewed by the new ones, and ends nothing.
  REQUIRE(world.run({"certs", "rotate", "a", "--drop-old", "--yes"}) == 0);
  check_phase(world, mode, RotationPhase::none);
}

TEST_CASE("a cluster that is not well gets no new authorities") {
  World world;
  create(world, "etcd");
  world.http.sick["10.214.0.6:6443"] = 500;
  CHECK(world.run({"certs", "rotate", "a", "--authorities"}) == 9);
  CHECK(contains(world.err.str(), "nothing was changed"));
  world.things.add("component", "a.etcd-2", "exited");
  CHECK(world.run({"certs", "rotate", "a", "--authorities"}) == 9);
  check_phase(world, "etcd", RotationPhase::none);
  CHECK(world.engine.restarted.empty());
}

TEST_CASE(
    "a component that does not take the new authorities brings the old state back, and a second try works") {
  World world;
  create(world, "etcd");
  world.engine.refuses_restart = "scheduler-2";
  CHECK(world.run({"certs", "rotate", "a", "--authorities"}) != 0);
  check_phase(world, "etcd", RotationPhase::none);
  CHECK(blocks_in(folder_of(world) / "components/api-server-1/ca.crt") == 1);
  // What had read both has read again what there was.
  CHECK(std::count(world.engine.restarted.begin(), world.engine.restarted.end(), "a.api-server-1") == 2);
  world.engine.refuses_restart.clear();
  REQUIRE(world.run({"certs", "rotate", "a", "--authorities"}) == 0);
  check_phase(world, "etcd", RotationPhase::new_signs);
}

TEST_CASE("once the new ones sign, a component that is not well is told of, and the next command brings the others on") {
  World world;
  create(world, "etcd");
  world.hooks.on_point = [&](std::string_view point) {
    if (point == "after sign-with-new ca") world.engine.refuses_restart = "scheduler-1";
  };
  CHECK(world.run({"certs", "rotate", "a", "--authorities"}) != 0);
  CHECK(std::count(world.engine.restarted.begin(), world.engine.restarted.end(), "a.kubelet-2") == 1);
  REQUIRE(world.run({"list", "--names"}) == 0);
  CHECK(contains(world.err.str(), "a.scheduler-1 does not start"));
  CHECK(contains(world.err.str(), "finishing it"));
  check_phase(world, "etcd", RotationPhase::new_signs);
  CHECK(std::count(world.engine.restarted.begin(), world.engine.restarted.end(), "a.kubelet-2") == 2);
  // And it stands in nobody's way any more.
  REQUIRE(world.run({"list", "--names"}) == 0);
  CHECK(world.err.str().empty());
}

TEST_CASE("kubelets ask for tokens of a new key at once") {
  World world;
  create(world, "sqlite");
  for (const std::string& id : world.things.names("component"))
    world.engine.started_at[id.substr(id.find('.') + 1)] = Clock::system().now();
  REQUIRE(world.run({"certs", "rotate", "a", "--authority", "sa"}) == 0);
  const auto restarts_of = [&](const char* id) {
    return std::count(world.engine.restarted.begin(), world.engine.restarted.end(), id);
  };
  CHECK(restarts_of("a.kubelet-1") == 1);
  CHECK(restarts_of("a.kubelet-2") == 1);
  CHECK(restarts_of("a.kube-proxy-1") == 0);
  CHECK(restarts_of("a.rhino") == 0);
}

TEST_CASE("a dry run of new authorities says from where on it is finished, and changes nothing") {
  World world;
  create(world, "sqlite");
  REQUIRE(world.run({"certs", "rotate", "a", "--authorities", "--drop-old", "--dry-run"}) == 0);
  CHECK(contains(world.out.str(),
                 "signed by the new ones (from here on an interrupted plan is finished, not undone)"));
  CHECK(contains(world.out.str(), "Drop the old ca, etcd/ca, front-proxy-ca, sa"));
  check_phase(world, "sqlite", RotationPhase::none);
}

TEST_CASE(
    "a rotation of authorities killed anywhere is undone, or from the moment on that the new ones sign "
    "finished") {
  const std::string mode = GENERATE(as<std::string>(), "all-in-one", "sqlite");
  // Most points of a cluster of containers are before and after the restart of one more.
  const int pace = stride(mode == "all-in-one" ? 1 : 5);
  std::map<std::string, int> verdicts;
  for (int n = 1;; n += pace) {
    World world;
    create(world, mode);
    if (!crashes_at(world, {"certs", "rotate", "a", "--authorities"}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    const std::string said = verdict(world);
    ++verdicts[said];
    const RotationPhase now = phase(world, "ca");
    CHECK(now != RotationPhase::both_trusted);
    if (said == "undone") CHECK(now == RotationPhase::none);
    if (said == "finished") CHECK(now == RotationPhase::new_signs);
    check_phase(world, mode, now);
    CHECK(world.run({"certs", "check", "a"}) == 0);
    CHECK(world.run({"status", "a"}) == 0);
    // Either way it goes on from there.
    if (n % 3 != 0) continue;
    REQUIRE(world.run({"certs", "rotate", "a", "--authorities", "--drop-old", "--yes"}) == 0);
    check_phase(world, mode, RotationPhase::none);
  }
  CHECK(verdicts["undone"] >= 5);
  CHECK(verdicts["finished"] >= 5);
  CHECK(verdicts[""] <= 4);
}

TEST_CASE("a drop of old authorities killed anywhere is finished by the next command") {
  int finished = 0, all = 0;
  for (int n = 1;; n += stride(4), ++all) {
    World world;
    create(world, "sqlite");
    REQUIRE(world.run({"certs", "rotate", "a", "--authorities"}) == 0);
    if (!crashes_at(world, {"certs", "rotate", "a", "--drop-old", "--yes"}, n)) break;
    INFO("killed at point " << n);
    REQUIRE(world.run({"list", "--names"}) == 0);
    const std::string said = verdict(world);
    CHECK(said != "undone");
    finished += said == "finished";
    if (said == "finished") check_phase(world, "sqlite", RotationPhase::none);
    CHECK(world.run({"certs", "check", "a"}) == 0);
  }
  CHECK(finished >= all - 2);
  CHECK(finished > 5);
}
