// Clusters that become others while they run: nodes and published ports come and go.
#include "crash.h"
#include "launcher/containers/topology.h"
#include "launcher/settings.h"
#include "state/state.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("nodes are added to a running cluster, and removed once their Pods have gone") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  REQUIRE(world.run({"node", "add", "a", "--count", "2"}) == 0);
  CHECK(contains(world.out.str(), "2 nodes more: node-3, node-4"));
  CHECK(world.engine.starts.at("kubelet-4") == 1);
  CHECK(world.engine.starts.at("kubelet-1") == 1);
  const fs::path root = world.home() / "clusters/a";
  CHECK(fs::exists(root / "components/kubelet-4/kubelet.conf"));
  // One that nothing makes again keeps its node.
  world.http.pods["node-2"] = {"lonely"};
  CHECK(world.run({"node", "remove", "a", "--node", "node-2", "--yes"}) == 4);
  CHECK(contains(world.err.str(), "nothing would make default/lonely again"));
  REQUIRE(world.run({"node", "remove", "a", "--node", "node-2", "--yes", "--force"}) == 0);
  CHECK_FALSE(world.things.has("component", "a.node-2"));
  CHECK_FALSE(world.things.has("component", "a.kubelet-2"));
  CHECK_FALSE(fs::exists(root / "components/kubelet-2"));
  // Nobody would renew it, and the next node of that name gets its own.
  for (const auto& entry : fs::directory_iterator(root / "pki"))
    CHECK_FALSE(contains(entry.path().filename().string(), "node-2"));
  CHECK(world.http.deleted_nodes == std::vector<std::string>{"node-2"});
  CHECK(world.run({"status", "a"}) == 0);
  CHECK(contains(world.out.str(), "3 of 3"));
  // Its number is free again.
  REQUIRE(world.run({"node", "add", "a"}) == 0);
  CHECK(contains(world.out.str(), "node-2"));
  CHECK(world.run({"node", "remove", "a", "--node", "node-9", "--yes"}) == 3);
  REQUIRE(world.run({"delete", "a", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a node whose Pods do not leave stays") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  world.http.pods["node-2"] = {"lonely"};
  world.http.is_evicting = false;
  CHECK(world.run({"node", "remove", "a", "--node", "node-2", "--yes", "--force", "--timeout", "1ms"}) == 9);
  CHECK(contains(world.err.str(), "default/lonely for one: "));
  CHECK(contains(world.err.str(), "disruption budget"));
  CHECK(world.things.has("component", "a.kubelet-2"));
  CHECK(world.http.cordoned.empty());
  CHECK(world.run({"status", "a"}) == 0);
}

TEST_CASE("ports are published and taken back while the cluster runs") {
  World world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
  REQUIRE(world.run({"port", "add", "a", "--publish", "8080:30080"}) == 0);
  CHECK(contains(certs::read_text(world.home() / "clusters/a/compose.yaml").value(), "--publish=8080:30080"));
  CHECK(world.run({"port", "add", "a", "--publish", "8080:30081"}) == 2);
  REQUIRE(world.run({"create", "b"}) == 0);
  CHECK(world.run({"port", "add", "b", "--publish", "8080:30080"}) == 6);
  REQUIRE(world.run({"port", "remove", "a", "--publish", "8080:30080"}) == 0);
  REQUIRE(world.run({"port", "add", "b", "--publish", "8080:30080"}) == 0);
  const auto& command = world.process.commands.at("b");
  CHECK(std::find(command.begin(), command.end(), "8080:30080") != command.end());
  CHECK(world.things.text("link", "b") == "8080:30080");
  CHECK(world.run({"port", "remove", "b", "--publish", "9090:30080"}) == 3);
  REQUIRE(world.run({"delete", "--all", "--yes"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("a change killed anywhere is finished or undone by the next command") {
  const Words words = GENERATE(Words{"node", "add", "a"}, Words{"node", "remove", "a", "--node", "node-2", "--yes"},
                               Words{"port", "add", "a", "--publish", "8080:30080"});
  // Also by one of the release to which the user goes on.
  const std::string next = GENERATE(as<std::string>(), "0.1.0", "0.2.0");
  for (int n = 1;; n += stride(2)) {
    World world;
    REQUIRE(world.run({"create", "a", "--mode", "sqlite"}) == 0);
    if (!crashes_at(world, words, n)) break;
    INFO(words[0] << " " << words[1] << " killed at point " << n << ", then " << next);
    world.set_release(next);
    REQUIRE(world.run({"status", "a"}) == 0);
    const ClusterSettings now =
        settings_from_json(state::State::open(world.home() / "state.db", false).value()->find("a").value()->settings)
            .value();
    // The manifest, the engine and what is remembered agree.
    CHECK(world.things.names("component").size() == members_of(now).size());
    CHECK(certs::read_text(world.home() / "clusters/a/compose.yaml").value() ==
          render_manifest(now, ClusterPaths{world.home() / "clusters/a"}, now.images));
    // Nobody would renew those of a node that is not there.
    for (const auto& entry : fs::directory_iterator(world.home() / "clusters/a/pki"))
      for (const char* node : {"node-2", "node-3"})
        if (contains(entry.path().filename().string(), node))
          CHECK(std::any_of(now.nodes.begin(), now.nodes.end(), [&](const auto& one) { return one.name == node; }));
    delete_and_check(world);
  }
}
