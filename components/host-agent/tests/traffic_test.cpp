// Packets by the host's side: who they come from, what they reach, and what they do not.
#include "host-agent/host_keeper.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "keeper_world.h"
#include "network/bridge/cluster_bridge.h"
#include "network/host_side.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/sysctl.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using namespace rusternetes::host_agent::testing;
using network::Netlink;

TEST_CASE("a node keeps its source on the way to another node's Pods, and an api-server to any", "[world]") {
  RN_NEEDS_NAMESPACES();
  const std::string bridge = GENERATE("podman1", "rn");
  BridgeWorld world(bridge == "rn" ? network::interface_name("demo", network::LinkPurpose::bridge, "x")
                                   : bridge);
  // Bridged packets pass the host's rules, too.
  const bool has_filter = network::inside(world.host, []() -> Result<> {
                            RN_CHECK(network::write_sysctl("net/bridge/bridge-nf-call-iptables", "1"));
                            return {};
                          }).has_value();
  if (!has_filter) WARN("this kernel has no bridge netfilter: only what is routed was looked at");
  world.masquerade_as_netavark();
  REQUIRE(network::set_forwarding(world.host, {.ipv4 = true}));
  auto netlink = Netlink::open(world.host);
  REQUIRE(netlink->ensure_route({range("10.244.1.0/24"), world.network.address(11)}));
  REQUIRE(netlink->ensure_route({range("10.244.2.0/24"), world.network.address(12)}));
  // What it would be without the agent.
  CHECK(Connection(world.node2, ip("10.244.2.2"), world.api).seen == world.network.address(1));
  if (has_filter)
    CHECK(Connection(world.node2, ip("10.244.2.2"), world.node1).seen == world.network.address(1));
  auto keeper = keeper_of(world);
  keep(keeper, both(world));
  CHECK(Connection(world.node2, ip("10.244.2.2"), world.api).seen == world.network.address(5));
  CHECK(Connection(world.node2, ip("10.244.2.2"), world.node1).seen == world.network.address(11));
  CHECK(Connection(world.node1, ip("10.96.0.10"), world.api).seen == world.network.address(5));
  CHECK(Connection(world.node2, ip("10.244.2.2"), world.host).seen == world.network.address(1));
  // To the outside the engine's masquerade is what it was.
  CHECK(Connection(world.outside, ip("198.51.100.2"), world.node1).seen == ip("198.51.100.1"));
}

TEST_CASE("IPv6 is kept as IPv4 is, beside it", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  const auto add = [](const NetworkNamespace& where, const char* link, const char* address) {
    auto netlink = Netlink::open(where);
    REQUIRE(netlink->ensure_address({(*netlink->find_link(link))->index, range(address), std::nullopt}));
  };
  add(world.host, "podman1", "fd00:214:3::1/64");
  for (const auto& [where, address] : {std::pair{&world.node1, "fd00:214:3::11/64"},
                                       {&world.node2, "fd00:214:3::12/64"},
                                       {&world.api, "fd00:214:3::5/64"}}) {
    add(*where, "eth0", address);
    REQUIRE(
        Netlink::open(*where)->ensure_route({network::IpPrefix::everything(AF_INET6), ip("fd00:214:3::1")}));
  }
  add(world.node1, "lo", "fd00:244:0:1::2/128");
  for (const auto* node : {&world.node1, &world.node2}) add(*node, "lo", "fd00:96::a/128");
  REQUIRE(
      nft(world.host,
          "table ip6 nat {\n chain POSTROUTING {\n type nat hook postrouting priority 100; policy accept;\n"
          " ip6 saddr fd00:214:3::/64 ip6 daddr != fd00:214:3::/64 masquerade\n }\n}\n"));
  REQUIRE(network::set_forwarding(world.host, {.ipv4 = true, .ipv6 = true}));
  const auto before = host_lines(world.host);
  auto options = world.options();
  options.gateways.push_back(ip("fd00:214:3::1"));
  options.networks.push_back(range("fd00:214:3::/64"));
  options.pod_ranges.push_back(range("fd00:244::/48"));
  options.service_ranges.push_back(range("fd00:96::/112"));
  options.published = {{8080, 30080}};
  ClusterState state = both(world);
  for (int i = 0; i < 2; ++i)
    state.nodes->at(static_cast<std::size_t>(i))
        .addresses.push_back(ip(i == 0 ? "fd00:214:3::11" : "fd00:214:3::12"));
  state.nodes->front().pod_cidrs.push_back(range("fd00:244:0:1::/64"));
  auto keeper = keeper_of(world, options);
  keep(keeper, state);
  CHECK(world.route("fd00:244:0:1::/64") == "fd00:214:3::11");
  CHECK(world.route("fd00:96::/112") == "fd00:214:3::11");
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
  // The kernel looks for duplicates of link-local addresses first, and asks for no neighbour meanwhile.
  const network::testing::ArrivalCounter there(world.node1, range("fd00:244:0:1::2/128"));
  REQUIRE(eventually([&] {
    (void)network::testing::send_datagram(world.api, ip("fd00:244:0:1::2"));
    return there.packets() > 0;
  }));
  CHECK(Connection(world.node1, ip("fd00:244:0:1::2"), world.host).works());
  CHECK(Connection(world.node1, ip("fd00:244:0:1::2"), world.api).seen == ip("fd00:214:3::5"));
  CHECK(Connection(world.node1, ip("fd00:96::a"), world.api).seen == ip("fd00:214:3::5"));
  CHECK(Connection(world.node1, ip("fd00:214:3::11"), 30080, world.host, ip("fd00:214:3::1"), 8080).works());
  state.nodes->front().is_ready = false;
  keep(keeper, state);
  CHECK(world.route("fd00:96::/112") == "fd00:214:3::12");
  CHECK(Connection(world.node2, ip("fd00:96::a"), world.host).works());
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  CHECK(host_lines(world.host) == before);
}

TEST_CASE("a port that the engine publishes still works from within the network", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  world.masquerade_as_netavark();
  // As netavark publishes the api-server's: marked, so that the answer comes back by the host.
  REQUIRE(
      nft(world.host,
          "table ip nat {\n chain PREROUTING {\n type nat hook prerouting priority -100; policy accept;\n"
          " fib daddr type local tcp dport 16443 ip saddr 10.214.3.0/24 meta mark set meta mark | 0x2000\n"
          " fib daddr type local tcp dport 16443 dnat to 10.214.3.5:6443\n }\n}\n"));
  REQUIRE(nft(world.host, "insert rule ip nat POSTROUTING meta mark & 0x2000 == 0x2000 masquerade"));
  auto keeper = keeper_of(world);
  keep(keeper, both(world));
  const Connection connection(world.api, world.network.address(5), 6443, world.node1, ip("198.51.100.1"),
                              16443);
  CHECK(connection.works());
  CHECK(connection.seen == world.network.address(1));
}

TEST_CASE("nobody on the bridge is told of another way than by the host", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  REQUIRE(nft(
      world.api,
      "table inet told {\n counter seen {\n }\n chain input {\n"
      " type filter hook input priority 0; policy accept;\n icmp type redirect counter name seen\n }\n}\n"));
  const auto told = [&] {
    const auto listed = nft(world.api, "list counter inet told seen");
    return std::stoi(listed->substr(listed->find("packets ") + 8));
  };
  auto keeper = keeper_of(world);
  keep(keeper, both(world));
  const auto send = [&] {
    for (int i = 0; i < 4; ++i) REQUIRE(network::testing::send_datagram(world.api, ip("10.244.2.2")));
  };
  send();
  CHECK(told() == 0);
  REQUIRE(network::delete_tables(world.host, network::table_name("demo", "bridge")));
  CHECK(eventually([&] { return send(), told() > 0; }));  // the host would say so
}

TEST_CASE("Docker's policy lets the cluster's packets through, whatever the bridge is called", "[world]") {
  RN_NEEDS_NAMESPACES();
  const std::string bridge = GENERATE("podman1", "rn");
  BridgeWorld world(bridge == "rn" ? network::interface_name("demo", network::LinkPurpose::bridge, "x")
                                   : bridge);
  world.forbid_forwarding();
  const auto before = host_lines(world.host);
  REQUIRE(network::set_forwarding(world.host, {.ipv4 = true}));
  REQUIRE(Netlink::open(world.outside)->ensure_route({range("10.214.3.0/24"), ip("198.51.100.1")}));
  const network::testing::ArrivalCounter out(world.outside, range("198.51.100.2/32"));
  REQUIRE(network::testing::send_datagram(world.node1, ip("198.51.100.2")));
  CHECK(out.packets() == 0);
  auto keeper = keeper_of(world);
  keep(keeper, both(world));
  CHECK(Connection(world.outside, ip("198.51.100.2"), world.node1).works());
  CHECK(Connection(world.node1, world.network.address(11), world.outside).works());
  CHECK(Connection(world.node2, ip("10.244.2.2"), world.api).works());
  // A network that is made anew may be called otherwise: no accept of the old name stays.
  if (bridge == "podman1") {
    REQUIRE(Netlink::open(world.host)->rename_link("podman1", "podman7"));
    keep(keeper, both(world));
    CHECK(world.docker_user().find("podman1") == std::string::npos);
    CHECK(world.docker_user().find("podman7") != std::string::npos);
  }
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  for (const auto& name : {std::string("podman"), network::interface_prefix("demo")})
    CHECK(world.docker_user().find(name) == std::string::npos);
}

TEST_CASE("two clusters' bridges do not reach each other, but for ports that they publish", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  const std::string bridge = GENERATE("podman2", "rn");
  BridgeNetwork second(
      world.host,
      bridge == "rn" ? network::interface_name("other", network::LinkPurpose::bridge, "x") : bridge,
      "10.214.4");
  const auto other = second.add_container(11);
  HostAgentOptions options = world.options(), others = options;
  options.published = {{8080, 30080}};
  others.cluster = "other";
  others.gateways = {second.address(1)};
  others.networks = {second.range()};
  others.pod_ranges = {range("10.245.0.0/16")};
  others.service_ranges = {range("10.97.0.0/16")};
  REQUIRE(network::set_forwarding(world.host, {.ipv4 = true}));
  CHECK(Connection(world.node1, world.network.address(11), other).works());  // as the host would have it
  auto one = keeper_of(world, options);
  auto two = keeper_of(world, others);
  ClusterState state;
  state.nodes = {{"m1", {second.address(11)}, {range("10.245.1.0/24")}, true}};
  state.ranges.emplace();
  keep(one, both(world));
  keep(two, state);
  const network::testing::ArrivalCounter here(world.node1, range("0.0.0.0/0"));
  REQUIRE(network::testing::send_datagram(other, world.network.address(11)));
  REQUIRE(network::testing::send_datagram(other, ip("10.244.1.2")));
  (void)network::testing::send_datagram(other, ip("10.96.0.10"));
  CHECK(here.packets() == 0);
  const network::testing::ArrivalCounter there(other, range("0.0.0.0/0"));
  REQUIRE(network::testing::send_datagram(world.node1, second.address(11)));
  REQUIRE(network::testing::send_datagram(world.node1, ip("10.245.1.2")));
  CHECK(there.packets() == 0);
  CHECK(Connection(world.node1, world.network.address(11), 30080, other, ip("198.51.100.1"), 8080).works());
  CHECK(Connection(other, second.address(11), world.host).works());
  // One cluster goes: the other's side stands whole.
  const auto report = two.keep(state);
  CHECK(report.changed.empty());
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  CHECK(two.keep(state).changed.empty());
}

TEST_CASE("a published port leads to a Ready node, with the client's address", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  world.masquerade_as_netavark();
  auto options = world.options();
  options.published = {{8080, 30080}};
  auto keeper = keeper_of(world, options);
  ClusterState state = both(world);
  keep(keeper, state);
  const auto reach = [&](const NetworkNamespace& node, int number, const NetworkNamespace& client) {
    const Connection connection(node, world.network.address(number), 30080, client, ip("198.51.100.1"), 8080);
    CHECK(connection.works());
    return connection.seen;
  };
  CHECK(reach(world.node1, 11, world.outside) == ip("198.51.100.2"));
  CHECK(reach(world.node1, 11, world.host) == ip("198.51.100.1"));
  state.nodes->front().is_ready = false;
  keep(keeper, state);
  CHECK(reach(world.node2, 12, world.outside) == ip("198.51.100.2"));
  CHECK(reach(world.node2, 12, world.host) == ip("198.51.100.1"));
  state.nodes->clear();
  keep(keeper, state);
  CHECK_FALSE(nft(world.host, "list table inet " + network::table_name("demo", "publish")));
}
