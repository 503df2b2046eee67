// The node's network when the kernel or the process says no.

#include "kubelet/node/pod_network.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/task.h"
#include "network/masquerade.h"
#include "network/names.h"
#include "network/nft.h"
#include "network/sysctl.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using network::NetworkNamespace;

namespace {

struct World {
  explicit World(NetworkNamespace n) : node(std::move(n)) {
    options.cluster = "kubelet-test";
    options.node_name = "n1";
    options.node_ip = "10.213.0.2";
    options.netns_path = "/proc/self/fd/" + std::to_string(node.fd());
    options.uplink = "lo";
    options.cluster_cidrs = {"10.99.0.0/16"};
  }
  NetworkNamespace node;
  KubeletOptions options;
  EventThread thread{"network-test"};
  PodNetwork network{options};
};

using Test = std::function<Task<>(World&)>;
Task<> start_and_run(World& world, Test test) {
  auto started = co_await world.network.start();
  REQUIRE(started);
  co_await test(world);
}
void in_world(Test test) {
  auto node = NetworkNamespace::create();
  if (!node) {
    WARN("SKIPPED: no network namespace can be made here");
    return;
  }
  World world(*std::move(node));
  run_blocking(world.thread.executor(), start_and_run(world, test));
}

Task<> refused_rule(World& world) {
  // A table that belongs to another socket is not changed by anybody else (nft(8), "flags owner").
  auto owner = network::inside(world.node, []() -> Result<network::Nft> {
    RN_TRY(auto nft, network::Nft::open());
    RN_CHECK(nft.run("add table inet " + network::table_name("kubelet-test", "nat") + " { flags owner; }"));
    return nft;
  });
  REQUIRE(owner);
  auto set = co_await world.network.set_pod_cidrs({"10.99.0.0/24"});
  REQUIRE_FALSE(set);
  CHECK(world.network.not_ready() == set.error().message);
  CHECK_FALSE(world.network.pool().has_cidrs());
  set = co_await world.network.set_pod_cidrs({"10.99.0.0/24"});
  CHECK_FALSE(set);
  owner = internal_error("closed");  // and its table goes with the socket
  set = co_await world.network.set_pod_cidrs({"10.99.0.0/24"});
  REQUIRE(set);
  CHECK(world.network.not_ready() == "");
  CHECK(*network::has_masquerade(world.node, "kubelet-test"));
  CHECK(world.network.pool().allocate("u1"));
}

Task<> own_sysctls(World& world) {
  const auto pod = NetworkNamespace::create();
  REQUIRE(pod);
  const auto value = [&pod](const char* key) { return *network::inside(*pod, [key] { return network::read_sysctl(key); }); };
  const auto set = [&pod](const char* key, const char* to) { return network::inside(*pod, [key, to] { return network::write_sysctl(key, to); }); };
  REQUIRE(set("net/ipv4/ip_unprivileged_port_start", "700"));
  REQUIRE(set("net/ipv4/ping_group_range", "5 6"));
  for (int wiring = 0; wiring < 2; ++wiring) {
    auto wired = co_await world.network.wire("u1", {"10.99.0.2"}, "/proc/self/fd/" + std::to_string(pod->fd()));
    REQUIRE(wired);
    CHECK(value("net/ipv4/ip_unprivileged_port_start") == "700");
    CHECK(value("net/ipv4/ping_group_range") == "5 6");
  }
}

Task<> whose_namespace(World& world) {
  const auto& network = world.network;
  const std::string own = world.options.netns_path;
  CHECK(*network.check_node(own));
  const pid_t ended = ::fork();
  if (ended == 0) ::_exit(0);
  ::waitpid(ended, nullptr, 0);
  for (const std::string& other : {std::string("/proc/self/ns/net"), std::string("/proc/self/ns/uts"), "/proc/" + std::to_string(ended) + "/ns/net"}) {
    INFO(other);
    const auto answer = network.check_node(other);
    REQUIRE(answer);
    CHECK_FALSE(*answer);
    CHECK_FALSE(network.is_node(other));
  }
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto unknown = network.check_node(own);
  const bool is_taken_for_it = network.is_node(own);
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("Too many open files") != std::string::npos);
  CHECK(is_taken_for_it);
  co_return;
}

}  // namespace

TEST_CASE("a rule that the kernel refuses keeps the node from Pods until it loads") { in_world(refused_rule); }
TEST_CASE("wiring a Pod leaves what its own sysctls say") { in_world(own_sysctls); }
TEST_CASE("a namespace that cannot be opened for want of descriptors is not another one") { in_world(whose_namespace); }
