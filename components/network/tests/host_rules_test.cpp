// Published ports and the accepts in Docker's chain: outside ← host ← node, as a cluster has them.
#include <poll.h>

#include <catch2/catch.hpp>

#include "network/docker_accepts.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/nft_events.h"
#include "network/node_link.h"
#include "network/node_sysctls.h"
#include "network/published_ports.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::Connection;
using testing::ip;
using testing::new_namespace;
using testing::range;

namespace {
const std::string cluster = "demo";

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}

struct World {
  NetworkNamespace outside = new_namespace();
  NetworkNamespace host = new_namespace();
  NetworkNamespace node = new_namespace();
  World() {
    testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
    REQUIRE(set_forwarding(host, {.ipv4 = true}));
    REQUIRE(connect_node(host, node,
                         {.cluster = cluster, .node = "n1", .addresses = {{ip("10.213.0.1"), ip("10.213.0.11")}}, .pod_cidrs = {range("10.244.1.0/24")}}));
    REQUIRE(prepare_node(node));
  }
  // As Docker makes them: the policy, its one chain for others, and the return at that chain's end.
  void forbid_forwarding() const {
    REQUIRE(nft(host,
                "table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n counter jump DOCKER-USER\n }\n"
                " chain DOCKER-USER {\n ip daddr 203.0.113.9 counter drop\n counter return\n }\n}\n"));
  }
  std::string docker_user() const { return nft(host, "list chain ip filter DOCKER-USER").value(); }
};
}  // namespace

TEST_CASE("published ports are two port numbers") {
  CHECK(PublishedPort::parse("8080:30080").value() == PublishedPort{8080, 30080});
  CHECK(PublishedPort::parse("8080:30080")->to_string() == "8080:30080");
  for (const char* bad : {"", "8080", "8080:", ":1", "0:1", "1:0", "65536:1", "1:65536", "1:2:3", " 1:2", "-1:2", "a:b"}) {
    INFO(bad);
    CHECK(PublishedPort::parse(bad).error().is("BadRequest"));
  }
}

TEST_CASE("a published port of the host's address is the node's, from outside and from the host, with the client's address") {
  RN_NEEDS_NAMESPACES();
  World world;
  const PublishedPorts wanted{.cluster = cluster, .node_addresses = {ip("10.213.0.11")}, .ports = {{8080, 30080}, {8081, 30081}}};
  const auto before = testing::describe(world.host);
  REQUIRE(load_published_ports(world.host, wanted));
  REQUIRE(load_published_ports(world.host, wanted));
  {
    const Connection connection(world.node, ip("10.213.0.11"), 30080, world.outside, ip("198.51.100.1"), 8080);
    CHECK(connection.works());
    CHECK(connection.seen == ip("198.51.100.2"));
  }
  {
    const Connection connection(world.node, ip("10.213.0.11"), 30081, world.host, ip("198.51.100.1"), 8081);
    CHECK(connection.works());
  }
  // Another port, and what the node itself sends to the host, are the host's own.
  CHECK(Connection(world.host, ip("198.51.100.1"), 8082, world.outside, ip("198.51.100.1"), 8082).works());
  CHECK(Connection(world.host, ip("10.213.0.1"), 8080, world.node, ip("10.213.0.1"), 8080).works());
  CHECK(Connection(world.host, ip("127.0.0.1"), 8080, world.host, ip("127.0.0.1"), 8080).works());
  REQUIRE(remove_published_ports(world.host, cluster));
  REQUIRE(remove_published_ports(world.host, cluster));
  CHECK(testing::describe(world.host) == before);
}

TEST_CASE("without published ports nothing is loaded, and what was is taken away") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto before = testing::describe(world.host);
  REQUIRE(load_published_ports(world.host, {.cluster = cluster, .node_addresses = {ip("10.213.0.11")}, .ports = {{8080, 30080}}}));
  CHECK(testing::describe(world.host) != before);
  REQUIRE(load_published_ports(world.host, {.cluster = cluster, .node_addresses = {ip("10.213.0.11")}}));
  CHECK(testing::describe(world.host) == before);
}

TEST_CASE("what Docker's policy would drop passes by the accepts for exactly the cluster's links") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.forbid_forwarding();
  REQUIRE(Netlink::open(world.outside)->ensure_route({range("10.213.0.0/24"), ip("198.51.100.1")}));
  const auto passes = [&] {
    return testing::send_datagram(world.node, ip("198.51.100.2")) && testing::send_datagram(world.outside, ip("10.213.0.11"));
  };
  const testing::ArrivalCounter out(world.outside, range("198.51.100.2/32")), in(world.node, range("10.213.0.11/32"));
  REQUIRE(passes());
  CHECK(out.packets() == 0);
  CHECK(in.packets() == 0);
  const auto before = world.docker_user();
  CHECK(ensure_docker_accepts(world.host, cluster).value());
  CHECK_FALSE(ensure_docker_accepts(world.host, cluster).value());
  REQUIRE(passes());
  const int went_out = out.packets();  // with the kernel's answers, since nobody listens
  CHECK(went_out >= 1);
  CHECK(in.packets() >= 1);
  // The user's own rules come first, and the return that ends the chain is still its end.
  const auto text = world.docker_user();
  const auto user = text.find("203.0.113.9"), own = text.find(interface_prefix(cluster)), end = text.find("return");
  CHECK((user < own && own < end));
  // Another cluster's accepts are not this one's.
  CHECK(ensure_docker_accepts(world.host, "other").value());
  REQUIRE(remove_docker_accepts(world.host, "other"));
  CHECK_FALSE(ensure_docker_accepts(world.host, cluster).value());
  REQUIRE(remove_docker_accepts(world.host, cluster));
  REQUIRE(remove_docker_accepts(world.host, cluster));
  const auto rules = [](const std::string& listing) { return std::count(listing.begin(), listing.end(), '\n'); };
  CHECK(rules(world.docker_user()) == rules(before));
  REQUIRE(passes());
  CHECK(out.packets() == went_out);
}

TEST_CASE("without Docker's chain there is nothing to accept") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto before = testing::describe(world.host);
  CHECK_FALSE(ensure_docker_accepts(world.host, cluster).value());
  CHECK(remove_docker_accepts(world.host, cluster));
  CHECK(testing::describe(world.host) == before);
}

TEST_CASE("a change of the rules of a namespace, and only of that one, is told") {
  RN_NEEDS_NAMESPACES();
  const auto here = new_namespace(), there = new_namespace();
  auto events = NftEvents::open(here);
  REQUIRE(events);
  const auto is_told = [&](int timeout_ms) {
    pollfd poll{events->fd(), POLLIN, 0};
    return ::poll(&poll, 1, timeout_ms) == 1;
  };
  REQUIRE(nft(there, "add table inet x"));
  CHECK_FALSE(is_told(50));
  REQUIRE(nft(here, "add table inet x"));
  CHECK(is_told(5000));
  CHECK(events->drain());
  CHECK_FALSE(events->drain());
}
