// The host's side beside the rules of a real engine: whose sources are kept, who reaches whom, and that
// nothing stays behind. The engine's world is the host (scripts/world).
#include <catch2/catch.hpp>
#include <iostream>

#include "host-agent/host_keeper.h"
#include "host_lines.h"
#include "network/host_side.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_sysctls.h"
#include "network/sysctl.h"
#include "real_engine.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using engine::testing::must;
using engine::testing::RealEngine;
using host_agent::testing::host_lines;
using network::Netlink;
using network::NetworkNamespace;
using network::testing::Connection;
using network::testing::ip;
using network::testing::range;

namespace {

constexpr const char* kNetwork = "host-agent-test";
constexpr const char* kOther = "host-agent-other";

void add_address(const NetworkNamespace& where, const char* link, const char* address) {
  auto netlink = Netlink::open(where);
  REQUIRE(netlink->ensure_address({(*netlink->find_link(link))->index, range(address), std::nullopt}));
}

// Containers on two networks of the engine: two nodes with a Pod each and an api-server, and somebody of
// another cluster.
class Containers {
 public:
  explicit Containers(RealEngine& real) : real_(real) {}

  Task<> make() {
    co_await remove();
    for (const auto& [name, subnet] : {std::pair{kNetwork, "10.214.3"}, {kOther, "10.214.4"}}) {
      engine::NetworkSpec spec;
      spec.name = name;
      spec.subnet = std::string(subnet) + ".0/24";
      spec.gateway = std::string(subnet) + ".1";
      spec.has_dns = false;
      must("network", co_await real_.engine->create_network(spec));
    }
    node1 = co_await run("node1", kNetwork, "10.214.3.11");
    node2 = co_await run("node2", kNetwork, "10.214.3.12");
    api = co_await run("api", kNetwork, "10.214.3.5");
    other = co_await run("other", kOther, "10.214.4.11");
    add_address(*node1, "lo", "10.244.1.2/32");
    add_address(*node2, "lo", "10.244.2.2/32");
    add_address(*node1, "lo", "10.96.0.10/32");
    for (const auto* node : {&node1, &node2}) REQUIRE(network::prepare_node(**node));
    // As the kubelets have them.
    REQUIRE(Netlink::open(*node1)->ensure_route({range("10.244.2.0/24"), ip("10.214.3.12")}));
    REQUIRE(Netlink::open(*node2)->ensure_route({range("10.244.1.0/24"), ip("10.214.3.11")}));
  }

  Task<> remove() {
    node1.reset(), node2.reset(), api.reset(), other.reset();
    for (const char* name : {"node1", "node2", "api", "other"})
      must("remove", co_await real_.engine->remove_container(container_name(name), true));
    for (const char* name : {kNetwork, kOther}) must("remove", co_await real_.engine->remove_network(name));
  }

  std::optional<NetworkNamespace> node1, node2, api, other;

 private:
  static std::string container_name(const char* name) { return std::string("host-agent-test-") + name; }

  Task<NetworkNamespace> run(const char* name, const char* network_name, const char* address) {
    engine::ContainerSpec spec;
    spec.name = container_name(name);
    spec.image = engine::testing::kBusyboxImage;
    spec.command = {"/bin/busybox", "sleep", "3600"};
    spec.attachment = engine::NetworkAttachment{network_name, address};
    const std::string id = must("create", co_await real_.engine->create_container(spec));
    must("start", co_await real_.engine->start_container(id));
    const auto details = must("inspect", co_await real_.engine->inspect_container(id));
    co_return must("namespace", NetworkNamespace::of_process(details.pid));
  }

  RealEngine& real_;
};

HostAgentOptions options_of(const std::string& cluster, const char* third) {
  const std::string n = third;
  HostAgentOptions out;
  out.cluster = cluster;
  out.gateways = {ip(("10.214." + n + ".1").c_str())};
  out.networks = {range(("10.214." + n + ".0/24").c_str())};
  out.pod_ranges = {range(n == "3" ? "10.244.0.0/16" : "10.245.0.0/16")};
  out.service_ranges = {range(n == "3" ? "10.96.0.0/16" : "10.97.0.0/16")};
  return out;
}

void keep(HostKeeper& keeper, const ClusterState& state) {
  for (const auto& each : keeper.keep(state).failures) FAIL_CHECK(each.object << ": " << each.message);
  for (const auto& each : keeper.keep(state).changed) FAIL_CHECK("changed again: " << each);
}

// A packet that would be heard if it arrived.
bool reaches(const NetworkNamespace& from, const NetworkNamespace& to, const char* address) {
  const network::testing::ArrivalCounter arrived(to, network::IpPrefix::host(ip(address)));
  (void)network::testing::send_datagram(from, ip(address));
  const bool has_come = arrived.packets() > 0;
  REQUIRE(network::delete_tables(to, "arrivals"));
  return has_come;
}

void look_at(const NetworkNamespace& host, const Containers& containers) {
  const auto& [node1, node2, api, other] =
      std::tie(*containers.node1, *containers.node2, *containers.api, *containers.other);
  const auto outside = NetworkNamespace::open("/run/netns/outside");
  if (!outside) std::cout << "SKIPPED: no namespace outside; scripts/world --outside makes one\n";
  const auto before = host_lines(host);
  auto wanted = options_of("demo", "3");
  wanted.published = {{8088, 30080}};
  auto one = must("keeper", HostKeeper::open(host, wanted));
  auto two = must("keeper", HostKeeper::open(host, options_of("other", "4")));
  ClusterState state, none;
  state.nodes = {{"n1", {ip("10.214.3.11")}, {range("10.244.1.0/24")}, true},
                 {"n2", {ip("10.214.3.12")}, {range("10.244.2.0/24")}, true}};
  state.ranges.emplace();
  none.nodes.emplace(), none.ranges.emplace();
  keep(one, state);
  keep(two, none);
  // Everybody is who he is.
  CHECK(Connection(node2, ip("10.244.2.2"), node1).seen == ip("10.214.3.11"));
  CHECK(Connection(node2, ip("10.244.2.2"), api).seen == ip("10.214.3.5"));
  CHECK(Connection(node1, ip("10.96.0.10"), api).seen == ip("10.214.3.5"));
  CHECK(Connection(node2, ip("10.244.2.2"), host).seen == ip("10.214.3.1"));
  CHECK(Connection(node1, ip("10.96.0.10"), host).works());
  // The other cluster reaches nothing but what is published.
  for (const char* target : {"10.214.3.11", "10.244.1.2", "10.96.0.10"}) {
    INFO(target);
    CHECK_FALSE(reaches(other, node1, target));
    CHECK(reaches(host, node1, target));
  }
  CHECK_FALSE(reaches(node1, other, "10.214.4.11"));
  CHECK(reaches(host, other, "10.214.4.11"));
  CHECK(Connection(node1, ip("10.214.3.11"), 30080, other, ip("10.214.4.1"), 8088).seen == ip("10.214.4.11"));
  CHECK(Connection(node1, ip("10.214.3.11"), 30080, host, ip("10.214.3.1"), 8088).works());
  if (outside) {
    CHECK(Connection(*outside, ip("198.51.100.2"), node1).seen == ip("198.51.100.1"));
    CHECK(Connection(*outside, ip("198.51.100.2"), other).seen == ip("198.51.100.1"));
    CHECK(Connection(node1, ip("10.214.3.11"), 30080, *outside, ip("198.51.100.1"), 8088).seen ==
          ip("198.51.100.2"));
  }
  for (const char* cluster : {"demo", "other"}) REQUIRE(network::remove_cluster_host_side(host, cluster));
  CHECK(host_lines(host) == before);
}

}  // namespace

TEST_CASE("beside an engine's own rules sources are kept, clusters are apart, and nothing stays behind") {
  engine::testing::on_each_engine([](RealEngine& real) -> Task<> {
    const auto host = must("host", NetworkNamespace::current());
    for (const char* bridged : {"1", "0"}) {
      INFO("bridge-nf-call-iptables " << bridged);
      if (!network::write_sysctl("net/bridge/bridge-nf-call-iptables", bridged))
        WARN("this kernel has no bridge netfilter");
      Containers containers(real);
      co_await containers.make();
      look_at(host, containers);
      co_await containers.remove();
    }
  });
}
