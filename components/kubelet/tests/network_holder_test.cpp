// The holder of the node's network: who is let in, and what becomes of one that is elsewhere.

#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/task.h"
#include "fake_runtime.h"
#include "kubelet/node/network_holder.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;

namespace {

struct World {
  EventThread thread{"holder-test"};
  FakeRuntime runtime{thread.executor()};
  KubeletOptions options;
  std::unique_ptr<PodNetwork> network;
  std::unique_ptr<NetworkHolder> holder;

  World() {
    options.node_name = std::string(62, 'n') + ".example";
    options.node_ip = "10.213.0.2";
    options.cgroup_root = "/rusternetes-test";
    options.prepares_node_network = false;  // the test's own namespace stands for the node's
    options.host_network = engine::SandboxNetwork::container;
  }
  ~World() {
    holder.reset();
    network.reset();
    thread.stop();
  }
  Task<> begin() {
    network = std::make_unique<PodNetwork>(options);
    auto started = co_await network->start();
    REQUIRE(started);
    holder = std::make_unique<NetworkHolder>(thread.executor(), runtime, options, *network, std::chrono::milliseconds(30));
  }
};

using Test = std::function<Task<>(World&)>;
Task<> begin_and_run(World& world, Test test) {
  co_await world.begin();
  co_await test(world);
}
void in_world(Test test) {
  World world;
  run_blocking(world.thread.executor(), begin_and_run(world, test));
}

Task<> fits(World& world) {
  CHECK(world.holder->is_needed());
  world.runtime.holder_netns = "/proc/self/ns/net";
  auto id = co_await world.holder->ensure();
  REQUIRE(id);
  CHECK(*id == "holder0");
  const auto& config = world.runtime.holders.at(0);
  // Nobody pins the namespace but this process.
  CHECK(config.netns_path.starts_with("/proc/" + std::to_string(::getpid()) + "/fd/"));
  CHECK(world.network->is_node(config.netns_path));
  CHECK(config.cgroup_parent == "/rusternetes-test");
  CHECK(config.hostname == std::string(62, 'n'));
  id = co_await world.holder->ensure();
  REQUIRE(id);
  CHECK(world.runtime.holders.size() == 1);
}

Task<> elsewhere(World& world) {
  world.runtime.holder_netns = "/proc/self/ns/uts";
  auto id = co_await world.holder->ensure();
  REQUIRE_FALSE(id);
  CHECK(id.error().message.find("is in another network") != std::string::npos);
  REQUIRE(world.runtime.holders.size() == 2);
  CHECK(world.runtime.holders[1].is_replacement);
  world.runtime.holder_netns = "/proc/self/ns/net";
  id = co_await world.holder->ensure();
  REQUIRE(id);
  CHECK(*id == "holder1");
}

Task<> pinned(World& world) {
  world.options.netns_path = "/proc/" + std::to_string(::getppid()) + "/ns/net";
  CHECK(world.network->pinned_path() == world.options.netns_path);
  world.options.netns_path = "/proc/self/ns/net";
  CHECK(world.network->pinned_path().starts_with("/proc/" + std::to_string(::getpid()) + "/fd/"));
  world.options.holder_container = "node-1";
  CHECK_FALSE(world.holder->is_needed());
  co_return;
}

}  // namespace

TEST_CASE("a holder in the node's network is the one that Pods join, and is made once") { in_world(fits); }
TEST_CASE("a holder in another network is replaced, and no Pod joins it") { in_world(elsewhere); }
TEST_CASE("a holder enters by a path that outlives the kubelet where there is one") { in_world(pinned); }
