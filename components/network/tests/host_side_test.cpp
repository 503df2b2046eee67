// What a host has for nodes of several clusters: made, mended after a flush, and taken away.
#include "network/host_side.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

#include "network/docker_accepts.h"
#include "network/isolation.h"
#include "network/masquerade.h"
#include "network/name_server_guard.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/nft.h"
#include "network/node_sysctls.h"
#include "network/rule_keeper.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::Connection;
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

void flush(const NetworkNamespace& where) { REQUIRE(nft(where, "flush ruleset")); }

struct ClusterNode {
  NetworkNamespace node = new_namespace();
  HostSide side;
  ClusterNode(const NetworkNamespace& host, const std::string& cluster, int number) {
    const std::string n = std::to_string(number);
    side.link = {.cluster = cluster,
                 .node = "n1",
                 .addresses = {{ip(("10.213." + n + ".1").c_str()), ip(("10.213." + n + ".2").c_str())}},
                 .pod_cidrs = {range(("10.244." + n + ".0/24").c_str())},
                 .service_ranges = {range(("10.96." + n + ".0/24").c_str())}};
    side.published = {{static_cast<std::uint16_t>(8080 + number), 30080}};
    REQUIRE(load_service_drop(node, {cluster, side.link.service_ranges, {}}));
    REQUIRE(load_service_drop(host, host_drop(side.link)));
    REQUIRE(make_host_side(host, node, side));
    REQUIRE(prepare_node(node));
  }
  IpAddress address() const { return side.link.addresses.front().node; }
};

}  // namespace

TEST_CASE("a cluster's packets do not reach another cluster of the host, but for ports that it publishes", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace(), outside = new_namespace();
  testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
  const ClusterNode one(host, "one", 1), two(host, "two", 2);
  // One after the other, so that each is counted by itself.
  for (const char* target : {"10.213.2.2", "10.244.2.7", "10.96.2.10"}) {
    INFO(target);
    const testing::ArrivalCounter arrived(two.node, IpPrefix::host(ip(target)));
    REQUIRE(testing::send_datagram(one.node, ip(target)));
    CHECK(arrived.packets() == 0);
    REQUIRE(testing::send_datagram(host, ip(target)));
    CHECK(arrived.packets() == 1);  // it does count
    REQUIRE(delete_tables(two.node, "arrivals"));
  }
  // The host itself and the outside get through as before, and a published port is for all.
  CHECK(Connection(two.node, two.address(), host).works());
  CHECK(Connection(two.node, two.address(), 30080, outside, ip("198.51.100.1"), 8082).works());
  CHECK(Connection(two.node, two.address(), 30080, one.node, ip("198.51.100.1"), 8082).works());
  CHECK(Connection(outside, ip("198.51.100.2"), one.node).works());
  const testing::ArrivalCounter arrived(two.node, range("10.213.2.2/32"));
  REQUIRE(testing::send_datagram(one.node, ip("10.213.2.2")));
  CHECK(arrived.packets() == 0);
  // Without the rule they would have: it is what keeps them apart.
  REQUIRE(delete_tables(host, table_name("two", "isolation")));
  REQUIRE(delete_tables(host, table_name("one", "isolation")));
  REQUIRE(testing::send_datagram(one.node, ip("10.213.2.2")));
  CHECK(arrived.packets() == 1);
}

TEST_CASE("what is forwarded to a node keeps its source, though others would give it the host's address",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace(), container = new_namespace();
  const ClusterNode one(host, "one", 1), two(host, "two", 2);
  // As an engine has it: a bridge's range is masqueraded wherever it goes but to itself.
  testing::join(host, "engine0", range("172.17.0.1/16"), container, "eth0", range("172.17.0.2/16"));
  REQUIRE(Netlink::open(container)->ensure_route({IpPrefix::everything(AF_INET), ip("172.17.0.1")}));
  REQUIRE(
      nft(host,
          "table ip nat {\n chain POSTROUTING {\n type nat hook postrouting priority 100; policy accept;\n"
          " ip saddr 172.17.0.0/16 oifname != \"engine0\" masquerade\n }\n}\n"));
  {
    const Connection from_container(two.node, two.address(), container);
    CHECK(from_container.works());
    CHECK(from_container.seen == ip("172.17.0.2"));
  }
  {
    const Connection from_other_cluster(two.node, two.address(), 30080, one.node, ip("10.213.1.1"), 8082);
    CHECK(from_other_cluster.works());
    CHECK(from_other_cluster.seen == one.address());
  }
  CHECK(Connection(two.node, two.address(), host).seen == ip("10.213.2.1"));  // the host itself
  // Without the rule both would have come as the host.
  REQUIRE(nft(host, "delete chain inet " + table_name("two", "nat") + " keep-source"));
  CHECK(Connection(two.node, two.address(), container).seen == ip("10.213.2.1"));
  CHECK(Connection(two.node, two.address(), 30080, one.node, ip("10.213.1.1"), 8082).seen ==
        ip("10.213.2.1"));
  CHECK(mend_host_rules(host, two.side).value() == std::vector<std::string>{"the masquerade"});
  CHECK(Connection(two.node, two.address(), container).seen == ip("172.17.0.2"));
}

TEST_CASE("Pods of a cluster whose node is the host are apart from another cluster's, too", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace(), pod = new_namespace();
  const ClusterNode one(host, "one", 1);
  testing::join(host, interface_name("two", LinkPurpose::pod, "uid"), range("10.244.2.1/24"), pod, "eth0", range("10.244.2.7/24"));
  const testing::ArrivalCounter arrived(pod, range("10.244.2.7/32"));
  REQUIRE(load_isolation(host, "two"));
  REQUIRE(testing::send_datagram(one.node, ip("10.244.2.7")));
  CHECK(arrived.packets() == 0);
  CHECK(Connection(pod, ip("10.244.2.7"), host).works());
  const auto before = arrived.packets();
  REQUIRE(delete_tables(host, table_name("two", "isolation")));
  REQUIRE(testing::send_datagram(one.node, ip("10.244.2.7")));
  CHECK(arrived.packets() > before);
}

TEST_CASE("the name server of a host is for the cluster's Pods and the host alone", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace(), pod = new_namespace(), outside = new_namespace();
  testing::join(host, interface_name("one", LinkPurpose::pod, "uid"), range("10.244.2.1/24"), pod, "eth0", range("10.244.2.7/24"));
  testing::join(host, "up0", range("198.51.100.1/24"), outside, "eth0", range("198.51.100.2/24"));
  CHECK_FALSE(has_name_server_guard(host, "one").value());
  REQUIRE(load_name_server_guard(host, {"one", {ip("198.51.100.1"), ip("10.244.2.1")}, 5353}));
  CHECK(has_name_server_guard(host, "one").value());
  CHECK(Connection(host, ip("10.244.2.1"), 5353, pod, ip("10.244.2.1"), 5353).works());
  CHECK(Connection(host, ip("198.51.100.1"), 5353, host, ip("198.51.100.1"), 5353).works());
  CHECK(Connection(host, ip("198.51.100.1"), 5354, outside, ip("198.51.100.1"), 5354).works());
  REQUIRE(load_name_server_guard(host, {"one", {ip("198.51.100.1"), ip("10.244.2.1")}, 9}));
  REQUIRE(testing::send_datagram(outside, ip("198.51.100.1")));
  REQUIRE(testing::send_datagram(pod, ip("10.244.2.1")));
  const auto counted = nft(host, "list table inet " + table_name("one", "dns"));
  REQUIRE(counted);
  CHECK(counted->find("198.51.100.1 meta l4proto { tcp, udp } th dport 9") != std::string::npos);
  CHECK(counted->find("counter packets 1 ") < counted->find("counter packets 0 "));  // dropped from outside, not from the Pod
  REQUIRE(remove_host_translations(host, "one"));
  CHECK_FALSE(has_name_server_guard(host, "one").value());
}

TEST_CASE("a table that was emptied counts as missing", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const ClusterNode one(host, "one", 1);
  CHECK(mend_host_rules(host, one.side)->empty());
  for (const char* suffix : {"isolation", "publish"})
    REQUIRE(nft(host, "flush table inet " + table_name("one", suffix)));
  CHECK(mend_host_rules(host, one.side)->size() == 2);
  CHECK(mend_host_rules(host, one.side)->empty());
}

TEST_CASE("rules of the host that were flushed are put back, and all of them go at the end", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const ClusterNode one(host, "one", 1), two(host, "two", 2);
  CHECK(mend_host_rules(host, one.side)->empty());
  const auto before = testing::lines_of(host);
  flush(host);
  CHECK(testing::lines_of(host) != before);
  CHECK(mend_host_rules(host, one.side)->size() == 4);
  CHECK(mend_host_rules(host, one.side)->empty());
  CHECK(mend_host_rules(host, two.side)->size() == 4);
  CHECK(testing::lines_of(host) == before);
  CHECK(check_service_drop(host, "one", one.side.link.service_ranges));
  REQUIRE(remove_host_translations(host, "one"));
  REQUIRE(remove_host_translations(host, "one"));
  CHECK_FALSE(has_masquerade(host, "one").value());
  CHECK_FALSE(has_isolation(host, "one").value());
  CHECK_FALSE(has_published_ports(host, "one").value());
  CHECK(check_service_drop(host, "one", one.side.link.service_ranges));  // the last one to go
  CHECK(mend_host_rules(host, two.side)->empty());
}

TEST_CASE("a keeper mends what it looks after when something has changed", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const ClusterNode one(host, "one", 1);
  std::atomic<int> mended = 0;
  RuleKeeper keeper(host, "keeper", std::chrono::milliseconds(10), {{"the rules", [&]() -> Result<bool> {
                                                                      RN_TRY(const auto done, mend_host_rules(host, one.side));
                                                                      mended += static_cast<int>(done.size());
                                                                      return !done.empty();
                                                                    }}});
  REQUIRE(keeper.start());
  CHECK(mended == 0);
  flush(host);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (mended < 4 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(mended == 4);
  CHECK(has_masquerade(host, "one").value());
  keeper.stop();
  // One that does run has mended, and so has heard of, what the stopped one leaves alone.
  std::atomic<int> heard = 0;
  RuleKeeper other(host, "other", std::chrono::milliseconds(50), {{"nothing", [&]() -> Result<bool> {
                                                                     ++heard;
                                                                     return false;
                                                                   }}});
  REQUIRE(other.start());
  flush(host);
  while (heard < 2 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(heard >= 2);
  CHECK_FALSE(has_masquerade(host, "one").value());
  CHECK(mended == 4);
}

TEST_CASE("a masquerade that lost the rule of one source counts as missing", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const Masquerade wanted{
      .cluster = "one", .sources = {range("10.244.0.0/16"), range("10.213.0.2/32"), range("fd00:244::/48")}};
  REQUIRE(load_masquerade(host, wanted));
  CHECK(has_masquerade(host, wanted).value());
  const std::string chain = table_name("one", "nat") + " postrouting";
  const char* lost = GENERATE("ip saddr 10.244.0.0/16", "ip saddr 10.213.0.2", "ip6 saddr fd00:244::/48");
  REQUIRE(nft(host, "flush chain inet " + chain));
  CHECK_FALSE(has_masquerade(host, wanted).value());
  for (const char* kept : {"ip saddr 10.244.0.0/16", "ip saddr 10.213.0.2", "ip6 saddr fd00:244::/48"})
    if (kept != std::string(lost)) REQUIRE(nft(host, "add rule inet " + chain + " " + kept + " masquerade"));
  CHECK_FALSE(has_masquerade(host, wanted).value());
  REQUIRE(nft(host, "add rule inet " + chain + " " + lost + " masquerade"));
  CHECK(has_masquerade(host, wanted).value());
}

TEST_CASE("the host's translations go also where Docker's chain may not be changed, and that is said",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const ClusterNode one(host, "one", 1);
  // A table that belongs to another process: nobody else may change it.
  auto owner = inside(host, [] { return Nft::open(); });
  REQUIRE(owner);
  REQUIRE(inside(host, [&] {
    return owner->run("table ip filter {\n flags owner;\n chain DOCKER-USER {\n  iifname \"" +
                      interface_prefix("one") + "*\" counter accept\n }\n}\n");
  }));
  const auto removed = remove_host_translations(host, "one");
  CHECK_FALSE(removed);
  CHECK_FALSE(has_masquerade(host, "one").value());
  CHECK_FALSE(has_isolation(host, "one").value());
  CHECK_FALSE(has_published_ports(host, "one").value());
}

TEST_CASE("a keeper tries again what it could not mend, though nothing changes, also after an exception", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  std::atomic<int> failing = 0, throwing = 0;
  RuleKeeper keeper(host, "keeper", std::chrono::milliseconds(10),
                    {{"what throws", [&]() -> Result<bool> {
                        if (++throwing < 3) throw std::runtime_error("no memory");
                        return true;
                      }},
                     {"what fails", [&]() -> Result<bool> {
                        if (++failing < 3) return Status{500, "InternalError", "busy"};
                        return true;
                      }}});
  REQUIRE(keeper.start());
  CHECK(failing == 1);  // the first rule's exception is not the second's concern
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while ((failing < 3 || throwing < 3) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(failing == 3);
  CHECK(throwing == 3);
}
