// Pods, nodes and a host, each a namespace, with real sockets between them.
#include <algorithm>
#include <catch2/catch.hpp>

#include "network/masquerade.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/pod_cidr_routes.h"
#include "network/pod_link.h"
#include "network/service_drop.h"
#include "network/sysctl.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::Connection;
using testing::ip;
using testing::new_namespace;
using testing::range;

namespace {
const std::string cluster = "demo";

PodLink pod_link(const char* id, const char* address, const char* gateway) {
  return {.cluster = cluster, .id = id, .addresses = {ip(address)}, .gateway = ip(gateway)};
}

// A host, an outside that knows only the host's address, and nodes on demand.
struct World {
  NetworkNamespace host = new_namespace();
  NetworkNamespace outside = new_namespace();
  World() {
    testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"), 1400);
    auto netlink = Netlink::open(host);
    REQUIRE(netlink->ensure_route({IpPrefix::everything(AF_INET), ip("198.51.100.2")}));
    REQUIRE(set_forwarding(host, {.ipv4 = true}));
  }
  NodeLink link(const char* name, const char* address, const char* pods) {
    return {.cluster = cluster,
            .node = name,
            .addresses = {{ip("10.213.0.1"), ip(address)}},
            .pod_cidrs = {range(pods)},
            .mtu = *uplink_mtu(host)};
  }
  NetworkNamespace add_node(const char* name, const char* address, const char* pods) {
    auto node = new_namespace();
    const auto connected = connect_node(host, node, link(name, address, pods));
    REQUIRE(connected);
    REQUIRE(prepare_node(node));
    return node;
  }
};

NetworkNamespace add_pod(const NetworkNamespace& node, const char* id, const char* address,
                         const char* gateway) {
  auto pod = new_namespace();
  REQUIRE(prepare_pod(pod));
  const auto wired = wire_pod(node, pod, pod_link(id, address, gateway));
  REQUIRE(wired);
  return pod;
}
}  // namespace

TEST_CASE("two Pods of a node reach each other, their node and the host, with their real addresses") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto a = add_pod(node, "a", "10.244.1.2", "10.213.0.11");
  const auto b = add_pod(node, "b", "10.244.1.3", "10.213.0.11");
  const Connection pod_to_pod(b, ip("10.244.1.3"), a);
  CHECK(pod_to_pod.works());
  CHECK(pod_to_pod.seen == ip("10.244.1.2"));
  const Connection pod_to_node(node, ip("10.213.0.11"), a);
  CHECK(pod_to_node.works());
  CHECK(pod_to_node.seen == ip("10.244.1.2"));
  const Connection pod_to_host(world.host, ip("10.213.0.1"), a);
  CHECK(pod_to_host.works());
  CHECK(pod_to_host.seen == ip("10.244.1.2"));
  const Connection host_to_pod(a, ip("10.244.1.2"), world.host);
  CHECK(host_to_pod.works());
  CHECK(host_to_pod.seen == ip("10.213.0.1"));
}

TEST_CASE("Pods of two nodes reach each other through the host, and through routes of their own") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto n1 = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto n2 = world.add_node("n2", "10.213.0.12", "10.244.2.0/24");
  const auto a = add_pod(n1, "a", "10.244.1.2", "10.213.0.11");
  const auto b = add_pod(n2, "b", "10.244.2.2", "10.213.0.12");
  {
    const Connection across(b, ip("10.244.2.2"), a);
    CHECK(across.works());
    CHECK(across.seen == ip("10.244.1.2"));
  }
  // A direct wire between the nodes, which the routes use: the host no longer forwards.
  testing::join(n1, "direct", range("192.0.2.1/24"), n2, "direct", range("192.0.2.2/24"));
  REQUIRE(set_forwarding(world.host, {.ipv4 = false, .ipv6 = false}));
  const std::vector pods{range("10.244.0.0/16")};
  REQUIRE(sync_pod_cidr_routes(n1, pods, {{range("10.244.2.0/24"), ip("192.0.2.2")}}));
  REQUIRE(sync_pod_cidr_routes(n2, pods, {{range("10.244.1.0/24"), ip("192.0.2.1")}}));
  const Connection direct(b, ip("10.244.2.2"), a);
  CHECK(direct.works());
  CHECK(direct.seen == ip("10.244.1.2"));
}

TEST_CASE("routes to other nodes' Pods are made exactly the wanted ones, and strangers' are left alone") {
  RN_NEEDS_NAMESPACES();
  const auto node = new_namespace();
  const auto other = new_namespace();
  testing::join(node, "eth0", range("192.0.2.1/24"), other, "eth0", range("192.0.2.2/24"));
  auto netlink = Netlink::open(node);
  REQUIRE(netlink->ensure_route({range("10.244.9.0/24"), ip("192.0.2.9")}));
  const auto routed = [&] {
    std::vector<std::string> found;
    for (const auto& route : *netlink->routes())
      if (route.gateway) found.push_back(route.destination.to_string() + " " + route.gateway->to_string());
    std::ranges::sort(found);
    return found;
  };
  const std::vector pods{range("10.244.0.0/16")};
  REQUIRE(sync_pod_cidr_routes(
      node, pods, {{range("10.244.2.0/24"), ip("192.0.2.2")}, {range("10.244.3.0/24"), ip("192.0.2.3")}}));
  // Node 3 left, node 2 has a new address, node 4 cannot be reached: the rest is done all the same.
  const auto partial = sync_pod_cidr_routes(
      node, pods, {{range("10.244.4.0/24"), ip("203.0.113.1")}, {range("10.244.2.0/24"), ip("192.0.2.22")}});
  REQUIRE_FALSE(partial);
  CHECK(partial.error().message.find("route 10.244.4.0/24 via 203.0.113.1") != std::string::npos);
  CHECK(routed() == std::vector<std::string>{"10.244.2.0/24 192.0.2.22", "10.244.9.0/24 192.0.2.9"});
  // Another cluster's Pod range is none of this one's business.
  REQUIRE(sync_pod_cidr_routes(node, {range("10.245.0.0/16")}, {}));
  CHECK(routed().size() == 2);
  REQUIRE(sync_pod_cidr_routes(node, pods, {}));
  CHECK(routed() == std::vector<std::string>{"10.244.9.0/24 192.0.2.9"});
}

TEST_CASE("wiring again changes nothing, and connections live on") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto pod = add_pod(node, "a", "10.244.1.2", "10.213.0.11");
  const Connection open(pod, ip("10.244.1.2"), world.host);
  const std::string host_before = testing::describe(world.host);
  const std::string node_before = testing::describe(node);
  const std::string pod_before = testing::describe(pod);
  REQUIRE(wire_pod(node, pod, pod_link("a", "10.244.1.2", "10.213.0.11")));
  REQUIRE(connect_node(world.host, node, world.link("n1", "10.213.0.11", "10.244.1.0/24")));
  CHECK(testing::describe(world.host) == host_before);
  CHECK(testing::describe(node) == node_before);
  CHECK(testing::describe(pod) == pod_before);
  CHECK(open.works());
}

TEST_CASE("a Pod wired again with the same address keeps its connections") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto pod = add_pod(node, "a", "10.244.1.2", "10.213.0.11");
  const Connection open(pod, ip("10.244.1.2"), world.host);
  REQUIRE(open.works());
  REQUIRE(unwire_pod(node, cluster, "a"));
  CHECK_FALSE(*Netlink::open(pod)->find_link("eth0"));
  REQUIRE(wire_pod(node, pod, pod_link("a", "10.244.1.2", "10.213.0.11")));
  CHECK(open.works());
}

TEST_CASE("a Pod moves to a node's new namespace although its old wire is still there") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto old_node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto pod = add_pod(old_node, "a", "10.244.1.2", "10.213.0.11");
  const auto new_node = new_namespace();
  REQUIRE(connect_node(world.host, new_node, world.link("n1", "10.213.0.11", "10.244.1.0/24")));
  REQUIRE(prepare_node(new_node));
  REQUIRE(wire_pod(new_node, pod, pod_link("a", "10.244.1.2", "10.213.0.11")));
  CHECK(wired_pods(old_node, cluster)->empty());
  CHECK(*wired_pods(new_node, cluster) == std::vector<std::string>{"a"});
  CHECK(Connection(pod, ip("10.244.1.2"), world.host).works());
}

TEST_CASE("what an interrupted wiring left is replaced, what others made is refused") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto pod = new_namespace();
  const auto name = interface_name(cluster, LinkPurpose::pod, "a");
  REQUIRE(Netlink::open(node)->create_veth({name, name, &pod, 0, ""}));
  REQUIRE(wire_pod(node, pod, pod_link("a", "10.244.1.2", "10.213.0.11")));
  CHECK(Connection(pod, ip("10.244.1.2"), node).works());

  const auto foreign = new_namespace();
  REQUIRE(Netlink::open(foreign)->create_veth({"eth0", "engine0", nullptr, 0, ""}));
  const auto refused = wire_pod(node, foreign, pod_link("b", "10.244.1.3", "10.213.0.11"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == "AlreadyExists");
  CHECK(*Netlink::open(foreign)->find_link("eth0"));

  // A name that another Pod holds by a hash collision.
  REQUIRE(Netlink::open(node)->set_alias(name, "rusternetes demo pod other"));
  const auto collision = wire_pod(node, new_namespace(), pod_link("a", "10.244.1.4", "10.213.0.11"));
  REQUIRE_FALSE(collision);
  CHECK(collision.error().message == "link " + name + " belongs to \"rusternetes demo pod other\"");
  REQUIRE(unwire_pod(node, cluster, "a"));
  CHECK(*Netlink::open(node)->find_link(name));
}

TEST_CASE("a node or Pod in the wrong namespace is refused before anything is touched") {
  RN_NEEDS_NAMESPACES();
  World world;
  const std::string before = testing::describe(world.host);
  CHECK_FALSE(connect_node(world.host, world.host, world.link("n1", "10.213.0.11", "10.244.1.0/24")));
  CHECK_FALSE(wire_pod(world.host, world.host, pod_link("a", "10.244.1.2", "10.213.0.11")));
  CHECK(testing::describe(world.host) == before);
}

TEST_CASE("links take the uplink's MTU") {
  RN_NEEDS_NAMESPACES();
  World world;
  CHECK(*uplink_mtu(world.host) == 1400);
  CHECK(*uplink_mtu(new_namespace()) == 1500);
  const auto uplink = find_uplink(world.host, AF_INET);
  REQUIRE(uplink);
  REQUIRE(*uplink);
  CHECK((*uplink)->link.name == "up0");
  CHECK((*uplink)->gateway == ip("198.51.100.2"));
  CHECK((*uplink)->source == ip("198.51.100.1"));
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  CHECK((*Netlink::open(node)->find_link("eth0"))->mtu == 1400);
  CHECK((*Netlink::open(world.host)->find_link(node_link_name(cluster, "n1")))->mtu == 1400);
  const auto pod = new_namespace();
  auto wanted = pod_link("a", "10.244.1.2", "10.213.0.11");
  wanted.mtu = 1400;
  REQUIRE(wire_pod(node, pod, wanted));
  wanted.mtu = 1300;
  REQUIRE(wire_pod(node, pod, wanted));
  CHECK((*Netlink::open(pod)->find_link("eth0"))->mtu == 1300);
}

TEST_CASE("the ranges in use are those of routes and addresses") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  const auto used = used_prefixes(world.host);
  REQUIRE(used);
  std::vector<std::string> text;
  for (const auto& prefix : *used) text.push_back(prefix.to_string());
  for (const char* wanted : {"10.213.0.1/32", "10.213.0.11/32", "10.244.1.0/24", "198.51.100.0/24"})
    CHECK(std::ranges::find(text, wanted) != text.end());
  for (const char* unwanted : {"0.0.0.0/0", "127.0.0.0/8", "::1/128"})
    CHECK(std::ranges::find(text, unwanted) == text.end());
}

TEST_CASE("IPv6 Pods of a node reach each other and the host") {
  RN_NEEDS_NAMESPACES();
  World world;
  REQUIRE(set_forwarding(world.host, {.ipv4 = true, .ipv6 = true}));
  auto link = world.link("n1", "10.213.0.11", "10.244.1.0/24");
  link.addresses.push_back({ip("fd00:213::1"), ip("fd00:213::11")});
  link.pod_cidrs.push_back(range("fd00:244:1::/64"));
  const auto node = new_namespace();
  REQUIRE(connect_node(world.host, node, link));
  REQUIRE(prepare_node(node));
  const auto dual = [&](const char* id, const char* v4, const char* v6) {
    auto pod = new_namespace();
    REQUIRE(prepare_pod(pod));
    auto wanted = pod_link(id, v4, "10.213.0.11");
    wanted.addresses.push_back(ip(v6));
    REQUIRE(wire_pod(node, pod, wanted));
    REQUIRE(wire_pod(node, pod, wanted));
    return pod;
  };
  const auto a = dual("a", "10.244.1.2", "fd00:244:1::2");
  const auto b = dual("b", "10.244.1.3", "fd00:244:1::3");
  const Connection v6(b, ip("fd00:244:1::3"), a);
  CHECK(v6.works());
  CHECK(v6.seen == ip("fd00:244:1::2"));
  CHECK(Connection(b, ip("10.244.1.3"), a).works());
  CHECK(Connection(a, ip("fd00:244:1::2"), world.host).works());
  const Connection to_host(world.host, ip("fd00:213::1"), a);
  CHECK(to_host.seen == ip("fd00:244:1::2"));
}

TEST_CASE("disconnecting and unwiring leave nothing behind, and may be repeated") {
  RN_NEEDS_NAMESPACES();
  World world;
  const std::string host_before = testing::describe(world.host);
  const auto node = new_namespace();
  const auto pod = new_namespace();
  const std::string node_before = testing::describe(node);
  const std::string pod_before = testing::describe(pod);
  const ServiceDrop on_host{cluster, {range("10.96.0.0/16")}, {node_link_name(cluster, "n1")}};
  REQUIRE(load_service_drop(world.host, on_host));
  REQUIRE(load_service_drop(node, {cluster, {range("10.96.0.0/16")}, {}}));
  auto link = world.link("n1", "10.213.0.11", "10.244.1.0/24");
  link.service_ranges = {range("10.96.0.0/16")};
  REQUIRE(connect_node(world.host, node, link));
  REQUIRE(wire_pod(node, pod, pod_link("a", "10.244.1.2", "10.213.0.11")));
  REQUIRE(load_masquerade(node, {.cluster = cluster, .sources = {range("10.244.1.0/24")}}));
  CHECK(testing::describe(world.host) != host_before);
  for (int time = 0; time < 2; ++time) {
    REQUIRE(remove_masquerade(node, cluster));
    REQUIRE(unwire_pod(node, cluster, "a"));
    REQUIRE(disconnect_node(world.host, cluster, "n1"));
    REQUIRE(remove_service_drop(node, cluster));
    REQUIRE(remove_service_drop(world.host, cluster));
    CHECK(testing::describe(world.host) == host_before);
    CHECK(testing::describe(node) == node_before);
    CHECK(testing::describe(pod) == pod_before);
  }
}

TEST_CASE("deleting a cluster's links leaves another cluster's alone") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto node = world.add_node("n1", "10.213.0.11", "10.244.1.0/24");
  auto other = world.link("n1", "10.214.0.11", "10.245.1.0/24");
  other.cluster = "other";
  other.addresses = {{ip("10.214.0.1"), ip("10.214.0.11")}};
  const auto other_node = new_namespace();
  REQUIRE(connect_node(world.host, other_node, other));
  const auto deleted = delete_cluster_links(world.host, cluster);
  REQUIRE(deleted);
  CHECK(*deleted == std::vector<std::string>{node_link_name(cluster, "n1")});
  CHECK(*Netlink::open(world.host)->find_link(node_link_name("other", "n1")));
  CHECK(delete_cluster_links(world.host, cluster)->empty());
}
