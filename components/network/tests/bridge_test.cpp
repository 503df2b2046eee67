// What a host has for a cluster on an engine's bridge, each part by itself; host-agent's tests have them
// together.
#include <poll.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "network/bridge/cluster_bridge.h"
#include "network/bridge/cluster_routes.h"
#include "network/docker_accepts.h"
#include "network/host_side.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/route_events.h"
#include "network/rule_table.h"
#include "network/service_drop.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::ip;
using testing::new_namespace;
using testing::range;

namespace {

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}

int count(const std::string& text, const std::string& what) {
  int out = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++out;
  return out;
}

}  // namespace

TEST_CASE("a bridge is matched by the cluster's prefix, or by its own name where it has another") {
  const std::string ours = interface_name("demo", LinkPurpose::bridge, "net");
  CHECK(cluster_links("demo") == interface_prefix("demo") + "*");
  CHECK(cluster_links("demo", ours) == interface_prefix("demo") + "*");
  CHECK(cluster_links("demo", "podman1") == "podman1");
  CHECK(cluster_links("other", ours) == ours);
}

TEST_CASE("each cluster's routes have a metric of their own") {
  CHECK(cluster_route_metric("one") != cluster_route_metric("two"));
  CHECK(cluster_route_metric("one") == cluster_route_metric("one"));
  CHECK(cluster_route_metric("one") >> 30 == 1);
}

TEST_CASE("a change of links, addresses or routes of a namespace, and only of that one, is told") {
  RN_NEEDS_NAMESPACES();
  const auto here = new_namespace(), there = new_namespace();
  auto events = RouteEvents::open(here);
  REQUIRE(events);
  const auto is_told = [&](int timeout_ms) {
    pollfd poll{events->fd(), POLLIN, 0};
    const bool told = ::poll(&poll, 1, timeout_ms) == 1;
    return told && events->drain();
  };
  auto other = Netlink::open(there), own = Netlink::open(here);
  REQUIRE(other->create_bridge("br0", ""));
  CHECK_FALSE(is_told(50));
  REQUIRE(own->create_bridge("br0", ""));
  CHECK(is_told(5000));
  REQUIRE(own->set_up("br0"));
  while (is_told(200)) {
  }
  REQUIRE(own->ensure_address({(*own->find_link("br0"))->index, range("10.1.0.1/24"), std::nullopt}));
  CHECK(is_told(5000));
  while (is_told(200)) {
  }
  REQUIRE(own->ensure_route({range("10.2.0.0/24"), ip("10.1.0.2")}));
  CHECK(is_told(5000));
  CHECK_FALSE(events->drain());
}

TEST_CASE("a bridge that an engine has named says whose it is, and no longer once the cluster has gone") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  auto netlink = Netlink::open(host);
  const std::string ours = interface_name("demo", LinkPurpose::bridge, "net");
  for (const auto& name : {std::string("podman1"), std::string("podman2"), ours})
    REQUIRE(netlink->create_bridge(name, ""));
  const auto link = [&](const std::string& name) { return **netlink->find_link(name); };
  CHECK(mark_bridge(*netlink, "demo", link("podman1")).value());
  CHECK_FALSE(mark_bridge(*netlink, "demo", link("podman1")).value());
  CHECK(mark_bridge(*netlink, "other", link("podman2")).value());
  CHECK_FALSE(mark_bridge(*netlink, "demo", link(ours)).value());
  CHECK(link("podman1").group == cluster_link_group);
  CHECK(link("podman1").alias == "rusternetes demo bridge podman1");
  REQUIRE(unmark_bridges(host, "demo"));
  CHECK(link("podman1").group == 0);
  CHECK(link("podman1").alias == "");
  CHECK(link("podman2").group == cluster_link_group);
}

TEST_CASE("accepts of a named bridge are told from the user's by what they say") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  REQUIRE(nft(host,
              "table ip filter {\n chain DOCKER-USER {\n iifname \"podman1\" counter accept\n counter "
              "return\n }\n}\n"));
  const auto listed = [&] { return nft(host, "list chain ip filter DOCKER-USER").value(); };
  CHECK(ensure_docker_accepts(host, "demo", "podman1").value());
  CHECK_FALSE(ensure_docker_accepts(host, "demo", "podman1").value());
  CHECK(count(listed(), "podman1") == 3);
  CHECK(listed().rfind("return") > listed().rfind("podman1"));
  // Another name takes the place of this one; the user's rule stays.
  CHECK(ensure_docker_accepts(host, "demo", "podman2").value());
  CHECK(count(listed(), "podman1") == 1);
  CHECK(count(listed(), "podman2") == 2);
  CHECK(ensure_docker_accepts(host, "demo").value());
  CHECK(count(listed(), "podman2") == 0);
  CHECK(count(listed(), interface_prefix("demo")) == 2);
  CHECK(ensure_docker_accepts(host, "demo", "podman1").value());
  REQUIRE(remove_docker_accepts(host, "demo"));
  CHECK(count(listed(), "accept") == 1);
  CHECK(ensure_docker_accepts(host, "demo", "a\" drop").error().is("BadRequest"));
}

TEST_CASE("a table is known to be whole by the rules of its chains") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const RuleTable table{"demo",
                        {{"a", "type filter hook input priority 0", {"counter", "counter"}},
                         {"b", "type filter hook output priority 0", {}}}};
  CHECK_FALSE(has_table_rules(host, table).value());
  REQUIRE(load_table(host, table));
  REQUIRE(load_table(host, table));
  CHECK(has_table_rules(host, table).value());
  for (const char* harm :
       {"flush chain inet demo a", "delete chain inet demo b", "add rule inet demo b counter"}) {
    REQUIRE(nft(host, harm));
    CHECK_FALSE(has_table_rules(host, table).value());
    REQUIRE(load_table(host, table));
  }
}

TEST_CASE("a drop rule that somebody has put to sleep does not count, and is loaded anew") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const ServiceDrop wanted{"demo", {range("10.96.0.0/16")}, {}};
  REQUIRE(load_service_drop(host, wanted));
  REQUIRE(nft(host, "add table inet " + table_name("demo") + " { flags dormant; }"));
  const auto checked = check_service_drop(host, "demo", wanted.service_ranges);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().is("InternalError"));
  REQUIRE(load_service_drop(host, wanted));
  CHECK(check_service_drop(host, "demo", wanted.service_ranges));
}
