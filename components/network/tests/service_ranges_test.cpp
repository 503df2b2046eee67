// Service ranges that come while a cluster runs, and go.
#include "network/service_ranges.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "network/host_side.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::Connection;
using testing::ip;
using testing::new_namespace;
using testing::range;

namespace {

const std::string cluster = "demo";

struct World {
  NetworkNamespace outside = new_namespace(), host = new_namespace(), node = new_namespace();
  HostSide side;
  World() {
    testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
    REQUIRE(Netlink::open(host)->ensure_route({IpPrefix::everything(AF_INET), ip("198.51.100.2")}));
    side.link = {.cluster = cluster,
                 .node = "n1",
                 .addresses = {{ip("10.213.0.1"), ip("10.213.0.2")}},
                 .pod_cidrs = {range("10.244.0.0/16")},
                 .service_ranges = {range("10.96.0.0/16")}};
    REQUIRE(load_service_drop(node, {cluster, side.link.service_ranges, {}}));
    REQUIRE(load_service_drop(host, host_drop(side.link)));
    REQUIRE(make_host_side(host, node, side));
    REQUIRE(prepare_node(node));
  }
  std::uint64_t dropped(const NetworkNamespace& where) const {
    return service_drop_count(where, cluster)->packets;
  }
  bool is_routed_to_node(const char* text) const {
    auto netlink = Netlink::open(host);
    const int index = (*netlink->find_link(node_link_name(cluster, "n1")))->index;
    const auto routes = netlink->routes();
    return std::ranges::any_of(*routes, [&](const Route& route) {
      return route.destination == range(text) && route.index == index && route.gateway == ip("10.213.0.2") &&
             route.source == ip("10.213.0.1");
    });
  }
};

}  // namespace

TEST_CASE(
    "a range that is added is dropped on node and host before the host routes it, and goes without a trace",
    "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  const testing::ArrivalCounter arrived(world.outside, range("172.30.0.0/24"));
  REQUIRE(testing::send_datagram(world.node, ip("172.30.0.5")));
  CHECK(arrived.packets() == 1);  // what must not happen once an address may be a Service's
  const auto before = testing::lines_of(world.host), node_before = testing::lines_of(world.node);
  for (int time = 0; time < 2; ++time) {
    REQUIRE(check_service_range(world.host, world.side.link, range("172.30.0.0/24")));
    REQUIRE(add_service_ranges(world.host, world.node, world.side.link, {range("172.30.0.0/24")}));
  }
  CHECK(check_service_drop(world.host, cluster, {range("10.96.0.0/16"), range("172.30.0.0/24")}));
  CHECK(check_service_drop(world.node, cluster, {range("10.96.0.0/16"), range("172.30.0.0/24")}));
  CHECK(world.is_routed_to_node("172.30.0.0/24"));
  // From a Pod's side and from the host's, translated by nobody.
  REQUIRE(testing::send_datagram(world.host, ip("172.30.0.5")));
  (void)testing::send_datagram(world.node, ip("172.30.0.5"));  // the kernel may say so at once
  CHECK(arrived.packets() == 1);
  CHECK(world.dropped(world.node) >= 1);
  // The keeper of the host's rules knows of it, or leaves it alone.
  CHECK(mend_host_rules(world.host, world.side)->empty());
  REQUIRE(retain_service_ranges(world.host, world.node, world.side.link, {range("172.30.0.0/24")}));
  CHECK(world.is_routed_to_node("172.30.0.0/24"));
  CHECK(check_service_drop(world.host, cluster, {range("172.30.0.0/24")}));
  REQUIRE(retain_service_ranges(world.host, world.node, world.side.link, {}));
  REQUIRE(retain_service_ranges(world.host, world.node, world.side.link, {}));
  CHECK(testing::lines_of(world.host) == before);
  CHECK(testing::lines_of(world.node) == node_before);
  CHECK(world.is_routed_to_node("10.96.0.0/16"));
}

TEST_CASE("where the node is the host there is a drop rule and no route", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const NodeLink link{.cluster = cluster, .node = "n1", .service_ranges = {range("10.96.0.0/16")}};
  REQUIRE(load_service_drop(host, {cluster, link.service_ranges, {}}));
  REQUIRE(add_service_ranges(host, host, link, {range("172.30.0.0/24"), range("fd00:30::/112")}));
  CHECK(check_service_drop(host, cluster,
                           {range("10.96.0.0/16"), range("172.30.0.0/24"), range("fd00:30::/112")}));
  REQUIRE(retain_service_ranges(host, host, link, {range("fd00:30::/112")}));
  CHECK(check_service_drop(host, cluster, {range("10.96.0.0/16"), range("fd00:30::/112")}));
  CHECK_FALSE(check_service_drop(host, cluster, {range("172.30.0.0/24")}));
}

TEST_CASE("a range that would cut the host off from its own networks, or Pods, is refused", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto refusal = [&](const char* text) {
    const auto checked = check_service_range(world.host, world.side.link, range(text));
    return checked ? std::string() : checked.error().reason;
  };
  for (const char* free : {"172.30.0.0/24", "10.96.0.0/12", "10.96.7.0/24", "fd00:30::/112"}) {
    INFO(free);
    CHECK(refusal(free).empty());
  }
  for (const char* used : {"198.51.100.0/24", "198.51.0.0/16", "198.51.100.1/32", "10.213.0.0/24"}) {
    INFO(used);
    CHECK(refusal(used) == "AlreadyExists");
  }
  CHECK(check_service_range(world.host, world.side.link, range("198.51.0.0/16")).error().message ==
        "198.51.0.0/16 overlaps 198.51.100.0/24, which the host of node n1 uses already");
  for (const char* bad : {"0.0.0.0/0", "128.0.0.0/1", "::/0", "127.0.0.0/16", "10.244.7.0/24", "10.0.0.0/7",
                          "fe80::/64", "224.0.0.0/8"}) {
    INFO(bad);
    CHECK(refusal(bad) == "BadRequest");
  }
}

TEST_CASE("two who widen the drop rule at once lose no range", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto where = new_namespace();
  std::vector<IpPrefix> all;
  for (int i = 0; i < 16; ++i) all.push_back(range(("172.30." + std::to_string(i) + ".0/24").c_str()));
  std::atomic<int> loaded = 0;
  const auto widen = [&](int first) {
    for (int i = first; i < 16; i += 2)
      if (widen_service_drop(where, {cluster, {all[static_cast<std::size_t>(i)]}, {}})) ++loaded;
  };
  std::thread other(widen, 1);
  widen(0);
  other.join();
  CHECK(loaded == 16);
  CHECK(check_service_drop(where, cluster, all));
}
