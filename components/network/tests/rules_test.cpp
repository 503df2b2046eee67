// The drop rule and masquerade, with a real outside that counts what reaches it.
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "network/masquerade.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/pod_link.h"
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
const IpPrefix services = range("10.96.0.0/16");
const IpAddress unknown_service = ip("10.96.7.7");

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}

// Outside ← host ← node ← Pod, where each sends what it does not know to the left.
struct World {
  NetworkNamespace outside = new_namespace();
  NetworkNamespace host = new_namespace();
  NetworkNamespace node = new_namespace();
  NetworkNamespace pod = new_namespace();
  NodeLink link{.cluster = cluster,
                .node = "n1",
                .addresses = {{ip("10.213.0.1"), ip("10.213.0.11")}},
                .pod_cidrs = {range("10.244.1.0/24")}};
  World() {
    testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
    REQUIRE(Netlink::open(host)->ensure_route({IpPrefix::everything(AF_INET), ip("198.51.100.2")}));
    REQUIRE(set_forwarding(host, {.ipv4 = true}));
    REQUIRE(connect_node(host, node, link));
    REQUIRE(prepare_node(node));
    REQUIRE(wire_pod(
        node, pod,
        {.cluster = cluster, .id = "a", .addresses = {ip("10.244.1.2")}, .gateway = ip("10.213.0.11")}));
  }
  ServiceDrop host_drop() const { return {cluster, {services}, {node_link_name(cluster, "n1")}}; }
  ServiceDrop node_drop() const { return {cluster, {services}, {}}; }
  std::uint64_t dropped(const NetworkNamespace& where) const {
    return service_drop_count(where, cluster)->packets;
  }
};
}  // namespace

TEST_CASE("a packet to an unknown service address is dropped in the node and nothing leaves") {
  RN_NEEDS_NAMESPACES();
  World world;
  const testing::ArrivalCounter arrivals(world.outside, services);
  // Without the rule it does leave: what the rule must stop is real.
  REQUIRE(testing::send_datagram(world.pod, unknown_service));
  REQUIRE(arrivals.packets() == 1);

  REQUIRE(load_service_drop(world.host, world.host_drop()));
  REQUIRE(load_service_drop(world.node, world.node_drop()));
  world.link.service_ranges = {services};
  REQUIRE(connect_node(world.host, world.node, world.link));
  REQUIRE(testing::send_datagram(world.pod, unknown_service));  // the node's forward chain
  CHECK(world.dropped(world.node) == 1);
  testing::send_datagram(world.node, unknown_service);  // the node's output chain
  CHECK(world.dropped(world.node) == 2);
  REQUIRE(testing::send_datagram(world.host, unknown_service));  // to the node, which does not know it either
  CHECK(world.dropped(world.node) == 3);
  CHECK(world.dropped(world.host) == 0);
  CHECK(service_drop_count(world.node, cluster)->bytes > 0);
  CHECK(arrivals.packets() == 1);
}

TEST_CASE("the host drops service packets that its route would not bring to the node") {
  RN_NEEDS_NAMESPACES();
  World world;
  const testing::ArrivalCounter arrivals(world.outside, services);
  REQUIRE(load_service_drop(world.host, world.host_drop()));
  testing::send_datagram(world.host, unknown_service);          // output, by the default route
  REQUIRE(testing::send_datagram(world.pod, unknown_service));  // forward; the node has no rule here
  CHECK(world.dropped(world.host) == 2);
  CHECK(arrivals.packets() == 0);
}

TEST_CASE("a service range is not routed to a node before both sides drop it") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.link.service_ranges = {services};
  const std::string before = testing::describe(world.host);
  const auto refused = connect_node(world.host, world.node, world.link);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == "FailedPrecondition");
  REQUIRE(load_service_drop(world.host, world.host_drop()));
  CHECK_FALSE(connect_node(world.host, world.node, world.link));
  REQUIRE(load_service_drop(world.node, {cluster, {range("10.97.0.0/16")}, {}}));
  const auto other_range = connect_node(world.host, world.node, world.link);
  REQUIRE_FALSE(other_range);
  CHECK(other_range.error().message.find("10.96.0.0/16 is not among its ranges") != std::string::npos);
  REQUIRE(remove_service_drop(world.host, cluster));
  CHECK(testing::describe(world.host) == before);
  REQUIRE(load_service_drop(world.host, world.host_drop()));
  REQUIRE(load_service_drop(world.node, world.node_drop()));
  CHECK(connect_node(world.host, world.node, world.link));
}

TEST_CASE("loading the same rules again keeps the counter; other rules replace them") {
  RN_NEEDS_NAMESPACES();
  World world;
  ServiceDrop drop{cluster, {services, range("fd00:96::/112")}, {"b0", "a0"}};
  REQUIRE(load_service_drop(world.host, drop));
  testing::send_datagram(world.host, unknown_service);
  CHECK(world.dropped(world.host) == 1);
  drop.allowed_interfaces = {"a0", "b0", "a0"};
  REQUIRE(load_service_drop(world.host, drop));
  CHECK(world.dropped(world.host) == 1);
  const auto present = read_service_drop(world.host, cluster);
  REQUIRE(present);
  CHECK(present->service_ranges == std::vector{services, range("fd00:96::/112")});
  CHECK(present->allowed_interfaces == std::vector<std::string>{"a0", "b0"});
  drop.service_ranges = {range("10.96.0.1/32")};
  REQUIRE(load_service_drop(world.host, drop));
  CHECK(read_service_drop(world.host, cluster)->service_ranges == std::vector{range("10.96.0.1/32")});
  CHECK(world.dropped(world.host) == 0);
}

TEST_CASE("a drop rule that somebody changed is noticed and repaired") {
  RN_NEEDS_NAMESPACES();
  const auto where = new_namespace();
  const ServiceDrop drop{cluster, {services}, {}};
  const std::string table = "inet " + table_name(cluster);
  const auto missing = read_service_drop(where, cluster);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().reason == "NotFound");
  const std::vector<std::string> damages{
      "insert rule " + table + " forward accept",
      "flush chain " + table + " output",
      "flush chain " + table + " output\nadd rule " + table +
          " output ip daddr 10.96.0.0/16 counter name untranslated accept",
      "flush chain " + table + " forward\nadd rule " + table +
          " forward ip saddr 10.96.0.0/16 counter name untranslated drop",
      "flush chain " + table + " forward\nadd rule " + table +
          " forward ip daddr != 10.96.0.0/16 counter name untranslated drop",
      "flush chain " + table + " forward\nadd rule " + table +
          " forward ip daddr 10.96.0.0/16 oifname != \"x\" counter name untranslated drop",
      "flush chain " + table + " forward\ndelete chain " + table + " forward",
      "delete table " + table + "\nadd table " + table,
  };
  for (const auto& damage : damages) {
    INFO(damage);
    REQUIRE(load_service_drop(where, drop));
    REQUIRE(check_service_drop(where, cluster, {services}));
    const auto damaged = nft(where, damage);
    REQUIRE(damaged);
    CHECK_FALSE(check_service_drop(where, cluster, {services}));
  }
  REQUIRE(load_service_drop(where, drop));
  CHECK(check_service_drop(where, cluster, {services}));
}

TEST_CASE("rules that cannot be loaded leave nothing and say why") {
  RN_NEEDS_NAMESPACES();
  const auto where = new_namespace();
  const std::string before = testing::describe(where);
  CHECK_FALSE(load_service_drop(where, {cluster, {}, {}}));
  const auto injected = load_service_drop(where, {cluster, {services}, {"x\" accept; #"}});
  REQUIRE_FALSE(injected);
  CHECK(injected.error().code == 400);
  const auto broken = nft(where, "add table inet t\nadd chain inet t c\nadd rule inet t c no such thing");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message.starts_with("nftables: Error: syntax error"));
  CHECK(testing::describe(where) == before);
}

TEST_CASE("two clusters' rules stand side by side") {
  RN_NEEDS_NAMESPACES();
  const auto where = new_namespace();
  REQUIRE(load_service_drop(where, {"one", {services}, {}}));
  REQUIRE(load_service_drop(where, {"two", {range("10.97.0.0/16")}, {}}));
  REQUIRE(remove_service_drop(where, "one"));
  CHECK_FALSE(read_service_drop(where, "one"));
  CHECK(check_service_drop(where, "two", {range("10.97.0.0/16")}));
}

TEST_CASE("a Pod reaches the outside by the host's address, and Pods and host by its own") {
  RN_NEEDS_NAMESPACES();
  World world;
  const std::vector cluster_ranges{range("10.244.0.0/16"), range("10.213.0.0/24")};
  CHECK_FALSE(*has_masquerade(world.node, cluster));
  const Masquerade in_node{
      .cluster = cluster, .sources = {range("10.244.1.0/24")}, .except_destinations = cluster_ranges};
  const Masquerade on_host{.cluster = cluster,
                           .sources = cluster_ranges,
                           .except_destinations = cluster_ranges,
                           .from_interfaces = {node_link_name(cluster, "n1")},
                           .except_to_interfaces = {node_link_name(cluster, "n1")}};
  for (int time = 0; time < 2; ++time) {
    REQUIRE(load_masquerade(world.node, in_node));
    REQUIRE(load_masquerade(world.host, on_host));
  }
  CHECK(*has_masquerade(world.node, cluster));
  CHECK(*has_masquerade(world.host, cluster));
  const Connection outward(world.outside, ip("198.51.100.2"), world.pod);
  CHECK(outward.works());
  CHECK(outward.seen == ip("198.51.100.1"));
  const Connection node_outward(world.outside, ip("198.51.100.2"), world.node);
  CHECK(node_outward.seen == ip("198.51.100.1"));
  const Connection to_host(world.host, ip("10.213.0.1"), world.pod);
  CHECK(to_host.seen == ip("10.244.1.2"));
  REQUIRE(load_masquerade(world.node, in_node));
  CHECK(outward.works());
  CHECK_FALSE(load_masquerade(world.node, {.cluster = cluster}));
}

TEST_CASE("the host masquerades what came by the cluster's links and nothing else") {
  RN_NEEDS_NAMESPACES();
  World world;
  // A neighbour of the host that uses an address of the cluster's ranges is not the cluster's.
  const auto neighbour = new_namespace();
  testing::join(world.host, "lan0", range("10.213.0.129/25"), neighbour, "eth0", range("10.213.0.130/25"));
  REQUIRE(Netlink::open(neighbour)->ensure_route({IpPrefix::everything(AF_INET), ip("10.213.0.129")}));
  REQUIRE(Netlink::open(world.outside)->ensure_route({range("10.213.0.128/25"), ip("198.51.100.1")}));
  REQUIRE(load_masquerade(world.host, {.cluster = cluster,
                                       .sources = {range("10.213.0.0/24")},
                                       .from_interfaces = {node_link_name(cluster, "n1")}}));
  const Connection from_neighbour(world.outside, ip("198.51.100.2"), neighbour);
  CHECK(from_neighbour.seen == ip("10.213.0.130"));
  const Connection from_node(world.outside, ip("198.51.100.2"), world.node);
  CHECK(from_node.seen == ip("198.51.100.1"));
}

TEST_CASE("rules are loaded and read while more files are open than select() can name") {
  RN_NEEDS_NAMESPACES();
  const auto where = new_namespace();
  rlimit original{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &original) == 0);
  if (original.rlim_max < FD_SETSIZE + 200) {
    WARN("skipped: the hard limit of open files is " << original.rlim_max);
    return;
  }
  rlimit raised = original;
  raised.rlim_cur = raised.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &raised) == 0);
  REQUIRE(load_service_drop(where, {"one", {services}, {}}));  // as a process does that has just begun
  std::vector<int> open;
  do open.push_back(::dup(2));
  while (open.back() >= 0 && open.back() < FD_SETSIZE + 100);
  REQUIRE(open.back() >= FD_SETSIZE);
  for (int i = 0; i < 100; ++i) {
    const IpPrefix range(IpAddress::parse("10.0.0.0").value(), 8 + i % 20);
    REQUIRE(load_service_drop(where, {"one", {services, range}, {}}));
    REQUIRE(check_service_drop(where, "one", {range}));
  }
  for (const int fd : open) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &original);
}
