// The host's side in real kernel state: what stands first, what follows, what is left alone, and what is
// taken away.
#include "host-agent/host_keeper.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "bridge_world.h"
#include "network/bridge/cluster_bridge.h"
#include "network/host_side.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"
#include "network/sysctl.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using namespace rusternetes::host_agent::testing;
using network::Netlink;
using network::Route;

namespace {

NodeState node(const BridgeWorld& world, int number, bool is_ready = true) {
  const std::string n = std::to_string(number);
  return {
      "n" + n, {world.network.address(10 + number)}, {*IpPrefix::parse("10.244." + n + ".0/24")}, is_ready};
}

ClusterState both(const BridgeWorld& world) {
  ClusterState out;
  out.nodes = {node(world, 1), node(world, 2)};
  out.ranges.emplace();
  return out;
}

HostKeeper keeper_of(const BridgeWorld& world, const HostAgentOptions& options) {
  auto made = HostKeeper::open(world.host, options);
  REQUIRE(made);
  return *std::move(made);
}
HostKeeper keeper_of(const BridgeWorld& world) { return keeper_of(world, world.options()); }

std::size_t routes_of_cluster(const NetworkNamespace& host) {
  auto netlink = Netlink::open(host);
  return network::cluster_routes(*netlink, "demo")->size();
}

// Everything stands, and another look finds nothing to do.
void keep(HostKeeper& keeper, const ClusterState& state) {
  const auto first = keeper.keep(state);
  for (const auto& each : first.failures) FAIL_CHECK(each.object << ": " << each.message);
  const auto again = keeper.keep(state);
  CHECK(again.is_whole());
  for (const auto& each : again.changed) FAIL_CHECK("changed again: " << each);
}

}  // namespace

TEST_CASE("the drop rule stands from the flags alone: before the bridge, before the API, before any route",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  HostAgentOptions options;
  options.cluster = "demo";
  options.gateways = {ip("10.214.3.1")};
  options.networks = {range("10.214.3.0/24")};
  options.pod_ranges = {range("10.244.0.0/16")};
  options.service_ranges = {range("10.96.0.0/16")};
  auto keeper = HostKeeper::open(host, options);
  REQUIRE(keeper);
  // As the launcher loads it.
  REQUIRE(network::load_service_drop(host, {"demo", options.service_ranges, {"rnlauncherbr"}}));
  const auto report = keeper->keep({});
  CHECK(report.bridge == "");
  CHECK(report.is_whole());
  const auto drop = network::read_service_drop(host, "demo");
  REQUIRE(drop);
  CHECK(drop->service_ranges == options.service_ranges);
  CHECK(drop->allowed_interfaces == std::vector<std::string>{"rnlauncherbr"});
  CHECK(network::inside(host, [] { return network::read_sysctl("net/ipv4/ip_forward"); }).value() == "1");
  REQUIRE(nft(host, "flush ruleset"));
  CHECK(keeper->keep({}).changed == std::vector<std::string>{"the drop rule of the service ranges"});
  CHECK(network::check_service_drop(host, "demo", options.service_ranges));
  CHECK(routes_of_cluster(host) == 0);
}

TEST_CASE("no route leads to a service range as long as its drop rule cannot be loaded", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto keeper = keeper_of(world);
  {
    // Only who has made such a table may change it, as long as he is there.
    auto owner = network::inside(world.host, [] { return network::Nft::open(); });
    REQUIRE(owner);
    const std::string table = "add table inet " + network::table_name("demo") + " { flags owner; }";
    REQUIRE(network::inside(world.host, [&] { return owner->run(table); }));
    const auto report = keeper.keep(both(world));
    REQUIRE(report.failures.size() == 1);
    CHECK(report.failures[0].object == "the drop rule of the service ranges");
    CHECK(world.route("10.96.0.0/16") == "");
    CHECK(world.route("10.244.1.0/24") == "10.214.3.11");
  }
  keep(keeper, both(world));
  CHECK(world.is_dropped("10.96.0.0/16"));
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
}

TEST_CASE("the host reaches Pods by their nodes and services by one of them", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto keeper = keeper_of(world);
  const network::testing::ArrivalCounter out(world.outside, range("10.96.0.0/16"));
  REQUIRE(network::testing::send_datagram(world.host, ip("10.96.0.10")));
  CHECK(out.packets() == 1);  // what the rule is for
  keep(keeper, both(world));
  CHECK(world.route("10.244.1.0/24") == "10.214.3.11");
  CHECK(world.route("10.244.2.0/24") == "10.214.3.12");
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
  for (const auto* from : {&world.host, &world.api}) {
    CHECK(Connection(world.node1, ip("10.244.1.2"), *from).works());
    CHECK(Connection(world.node2, ip("10.244.2.2"), *from).works());
    CHECK(Connection(world.node1, ip("10.96.0.10"), *from).works());
  }
  // The node by which services are reached goes, and comes back.
  ClusterState state = both(world);
  state.nodes->front().is_ready = false;
  keep(keeper, state);
  CHECK(world.route("10.244.1.0/24") == "10.214.3.11");
  CHECK(world.route("10.96.0.0/16") == "10.214.3.12");
  CHECK(Connection(world.node2, ip("10.96.0.10"), world.host).works());
  keep(keeper, both(world));
  CHECK(world.route("10.96.0.0/16") == "10.214.3.12");
  state.nodes = {node(world, 1)};
  keep(keeper, state);
  CHECK(world.route("10.244.2.0/24") == "");
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
  // Without any node nothing leaves: the host's default route is not taken.
  state.nodes->clear();
  keep(keeper, state);
  CHECK(routes_of_cluster(world.host) == 0);
  REQUIRE(network::testing::send_datagram(world.api, ip("10.96.0.10")));
  (void)network::testing::send_datagram(world.host, ip("10.96.0.10"));
  CHECK(out.packets() == 1);
  CHECK(network::service_drop_count(world.host, "demo")->packets >= 1);
}

TEST_CASE("routes of others are neither replaced nor deleted", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto netlink = Netlink::open(world.host);
  const int bridge = (*netlink->find_link("podman1"))->index;
  Route same{range("10.244.2.0/24"), world.network.address(5), bridge};
  same.protocol = 4;  // static, as of `ip route add`
  Route gone{range("10.244.7.0/24"), world.network.address(5), bridge};
  Route other_cluster{range("10.244.8.0/24"), world.network.address(5), bridge};
  other_cluster.protocol = network::cluster_route_protocol;
  other_cluster.metric = network::cluster_route_metric("other");
  for (const auto* each : {&same, &gone, &other_cluster}) REQUIRE(netlink->ensure_route(*each));
  auto keeper = keeper_of(world);
  keep(keeper, both(world));
  CHECK(world.route("10.244.2.0/24", 4) == "10.214.3.5");
  CHECK(world.route("10.244.2.0/24") == "10.214.3.12");  // beside it, and behind
  ClusterState empty;
  empty.nodes.emplace();
  keep(keeper, empty);
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  CHECK(world.route("10.244.2.0/24", 4) == "10.214.3.5");
  CHECK(world.route("10.244.7.0/24", Route::route_protocol) == "10.214.3.5");
  CHECK(world.route("10.244.8.0/24") == "10.214.3.5");
}

TEST_CASE("what the API has not said yet stays as it stands", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto options = world.options();
  options.published = {{8080, 30080}};
  ClusterState state = both(world);
  state.nodes->front().is_ready = false;
  state.ranges->push_back({"more", range("172.30.0.0/24")});
  {
    auto keeper = keeper_of(world, options);
    keep(keeper, state);
  }
  const auto before = host_lines(world.host);
  auto next = keeper_of(world, options);  // the program was started again
  const auto report = next.keep({});
  CHECK(report.is_whole());
  CHECK(report.entries == std::vector{world.network.address(12)});
  CHECK(host_lines(world.host) == before);
  CHECK(world.route("172.30.0.0/24") == "10.214.3.12");
  keep(next, state);
  CHECK(host_lines(world.host) == before);
}

TEST_CASE("a port that was published before leads nowhere once it is known that there is no node",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto options = world.options();
  options.published = {{8080, 30080}};
  {
    auto keeper = keeper_of(world, options);
    keep(keeper, both(world));
  }
  auto netlink = Netlink::open(world.host);
  for (const auto& route : *netlink->routes())
    if (network::is_cluster_route(route, "demo")) REQUIRE(netlink->delete_route(route));
  const auto is_published = [&] {
    return nft(world.host, "list table inet " + network::table_name("demo", "publish")).has_value();
  };
  auto keeper = keeper_of(world, options);
  keep(keeper, {});
  CHECK(is_published());
  ClusterState empty;
  empty.nodes.emplace();
  keep(keeper, empty);
  CHECK_FALSE(is_published());
}

TEST_CASE("a gateway that is an address of the host's uplink is refused, and nothing is done to that link",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto options = world.options();
  options.gateways = {ip("198.51.100.1")};
  options.networks = {range("198.51.100.0/24")};
  auto keeper = keeper_of(world, options);
  const auto report = keeper.keep(both(world));
  REQUIRE(report.failures.size() == 1);
  CHECK(report.failures[0] == Problem{"the cluster's bridge", "the link up0 is no bridge of an engine"});
  CHECK(world.is_dropped("10.96.0.0/16"));
  CHECK(routes_of_cluster(world.host) == 0);
  CHECK((*Netlink::open(world.host)->find_link("up0"))->group == 0);
}

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

TEST_CASE("a service range that a user adds is dropped before it is routed, and longer", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  auto keeper = keeper_of(world);
  ClusterState state = both(world);
  keep(keeper, state);
  CHECK_FALSE(world.is_dropped("172.30.0.0/24"));
  state.ranges = {{"more", range("172.30.0.0/24")},    {"usual", range("10.96.0.0/16")},
                  {"taken", range("198.51.100.0/28")}, {"ours", range("10.214.3.128/25")},
                  {"pods", range("10.244.128.0/24")},  {"wide", range("0.0.0.0/0")}};
  const auto report = keeper.keep(state);
  CHECK(report.is_whole());
  REQUIRE(report.ranges.size() == 4);
  CHECK(report.ranges[0] ==
        Problem{"taken",
                "198.51.100.0/28 overlaps 198.51.100.0/24, which the host of cluster demo uses already"});
  CHECK(report.ranges[1].object == "ours");
  CHECK(report.ranges[2].message == "10.244.128.0/24 overlaps the Pods' range 10.244.0.0/16");
  CHECK(report.ranges[3].object == "wide");
  CHECK(world.is_dropped("172.30.0.0/24"));
  CHECK_FALSE(world.is_dropped("198.51.100.0/28"));
  CHECK(world.route("172.30.0.0/24") == "10.214.3.11");
  CHECK(world.route("198.51.100.0/28") == "");
  CHECK(Connection(world.node1, ip("172.30.0.10"), world.api).works());
  state.ranges->clear();
  keep(keeper, state);
  CHECK(world.route("172.30.0.0/24") == "");
  CHECK_FALSE(world.is_dropped("172.30.0.0/24"));
  CHECK(world.is_dropped("10.96.0.0/16"));
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
}

TEST_CASE("what anybody takes away is put back, and the removal leaves the host as it was", "[world]") {
  RN_NEEDS_NAMESPACES();
  const std::string bridge = GENERATE("podman1", "rn");
  BridgeWorld world(bridge == "rn" ? network::interface_name("demo", network::LinkPurpose::bridge, "x")
                                   : bridge);
  world.forbid_forwarding();
  REQUIRE(network::set_forwarding(world.host, {.ipv4 = true}));
  const auto before = host_lines(world.host);
  const auto link_before = *Netlink::open(world.host)->find_link(world.network.bridge());
  auto options = world.options();
  options.published = {{8080, 30080}};
  auto keeper = keeper_of(world, options);
  const auto state = both(world);
  keep(keeper, state);
  const auto standing = host_lines(world.host);
  CHECK(standing != before);
  const auto table = [](const char* suffix) { return network::table_name("demo", suffix); };
  const std::vector<std::string> harms{"flush ruleset",
                                       "flush chain ip filter DOCKER-USER",
                                       "flush table inet " + table(""),
                                       "delete table inet " + table("publish"),
                                       "flush chain inet " + table("bridge") + " keep-source",
                                       "flush table inet " + table("isolation")};
  for (const auto& harm : harms) {
    INFO(harm);
    REQUIRE(nft(world.host, harm));
    if (harm == "flush ruleset") world.forbid_forwarding();
    keep(keeper, state);
    if (harm.find("DOCKER-USER") != std::string::npos) {  // the user's rule is not ours to put back
      REQUIRE(nft(world.host, "delete table ip filter"));
      world.forbid_forwarding();
      keep(keeper, state);
    }
    CHECK(host_lines(world.host) == standing);
  }
  auto netlink = Netlink::open(world.host);
  for (const auto& route : *netlink->routes())
    if (network::is_cluster_route(route, "demo")) REQUIRE(netlink->delete_route(route));
  keep(keeper, state);
  CHECK(host_lines(world.host) == standing);
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  REQUIRE(network::remove_cluster_host_side(world.host, "demo"));
  CHECK(host_lines(world.host) == before);
  const auto link_after = *Netlink::open(world.host)->find_link(world.network.bridge());
  CHECK(link_after->group == link_before->group);
  CHECK(link_after->alias == link_before->alias);
}
