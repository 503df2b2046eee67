// The host's side in real kernel state: what stands first, what follows, what is left alone, and what is
// taken away.
#include "host-agent/host_keeper.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "keeper_world.h"
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
