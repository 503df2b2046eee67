#include "network/namespace.h"

#include <catch2/catch.hpp>
#include <iostream>
#include <thread>

#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/sysctl.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;

TEST_CASE("a namespace is recognised however it was opened") {
  const auto own = NetworkNamespace::current();
  const auto by_pid = NetworkNamespace::of_process(getpid());
  REQUIRE(own);
  REQUIRE(by_pid);
  CHECK(*own == *by_pid);
  RN_NEEDS_NAMESPACES();
  const auto other = testing::new_namespace();
  CHECK_FALSE(*own == other);
  const auto again = NetworkNamespace::open("/proc/self/fd/" + std::to_string(other.fd()));
  REQUIRE(again);
  CHECK(*again == other);
}

TEST_CASE("what is no network namespace is refused") {
  CHECK_FALSE(NetworkNamespace::open("/nonexistent"));
  const auto wrong = NetworkNamespace::open("/proc/self/ns/uts");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message == "/proc/self/ns/uts is not a network namespace");
  CHECK_FALSE(NetworkNamespace::open("/proc/self/status"));
}

TEST_CASE("a thread is inside for the length of a call only, and nesting returns to the outer one") {
  RN_NEEDS_NAMESPACES();
  const auto own = *NetworkNamespace::current();
  const auto a = testing::new_namespace();
  const auto b = testing::new_namespace();
  const auto seen = inside(a, [&]() -> Result<bool> {
    RN_TRY(const auto outer, NetworkNamespace::current());
    RN_TRY(const auto inner, inside(b, [] { return NetworkNamespace::current(); }));
    RN_TRY(const auto after, NetworkNamespace::current());
    return outer == a && inner == b && after == a;
  });
  REQUIRE(seen);
  CHECK(*seen);
  CHECK(*NetworkNamespace::current() == own);
}

TEST_CASE("an error or an exception inside a namespace still brings the thread back") {
  RN_NEEDS_NAMESPACES();
  const auto own = *NetworkNamespace::current();
  const auto other = testing::new_namespace();
  CHECK_FALSE(inside(other, []() -> Result<> { return internal_error("no"); }));
  CHECK_THROWS_AS(inside(other, []() -> Result<> { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK_THROWS_AS(inside_thread(other, []() -> Result<> { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK(*NetworkNamespace::current() == own);
}

TEST_CASE("threads started on a thread inside a namespace are inside too") {
  RN_NEEDS_NAMESPACES();
  const auto other = testing::new_namespace();
  const auto id = inside_thread(other, []() -> Result<NamespaceId> {
    NamespaceId seen;
    std::thread([&] { seen = NetworkNamespace::current()->id(); }).join();
    return seen;
  });
  REQUIRE(id);
  CHECK(*id == other.id());
}

TEST_CASE("a new namespace has lo up and nothing else of the host") {
  RN_NEEDS_NAMESPACES();
  auto netlink = Netlink::open(testing::new_namespace());
  REQUIRE(netlink);
  const auto lo = netlink->find_link("lo");
  REQUIRE(lo);
  REQUIRE(*lo);
  CHECK((*lo)->is_up);
  for (const auto& route : *netlink->routes())
    CHECK((route.destination.address() == testing::ip("::1") ||
           testing::range("127.0.0.0/8").contains(route.destination.address())));
}

TEST_CASE("forwarding of a family that is not named stays as it is") {
  RN_NEEDS_NAMESPACES();
  const auto other = testing::new_namespace();
  const auto value = [&](const char* key) { return *inside(other, [key] { return read_sysctl(key); }); };
  constexpr const char* v4 = "net/ipv4/ip_forward";
  constexpr const char* v6 = "net/ipv6/conf/all/forwarding";
  if (!inside(other, [] { return read_sysctl(v6); })) {
    std::cout << "SKIPPED: the kernel has no IPv6\n";
    return;
  }
  REQUIRE(set_forwarding(other, {.ipv4 = false, .ipv6 = true}));
  const auto before = set_forwarding(other, {.ipv4 = true});
  REQUIRE(before);
  CHECK(before->ipv4 == false);
  CHECK_FALSE(before->ipv6.has_value());
  CHECK(value(v4) == "1");
  CHECK(value(v6) == "1");
  REQUIRE(set_forwarding(other, *before));
  CHECK(value(v4) == "0");
  CHECK(value(v6) == "1");
  REQUIRE(set_forwarding(other, {.ipv6 = false}));
  CHECK(value(v4) == "0");
  CHECK(value(v6) == "0");
}

TEST_CASE("sysctls are the namespace's own and are written only when they differ") {
  RN_NEEDS_NAMESPACES();
  const auto own_before = read_sysctl("net/ipv4/ip_forward");
  const auto other = testing::new_namespace();
  REQUIRE(set_forwarding(other, {.ipv4 = false, .ipv6 = false}));
  const auto before = set_forwarding(other, {.ipv4 = true, .ipv6 = true});
  REQUIRE(before);
  CHECK(before->ipv4 == false);
  CHECK(*inside(other, [] { return read_sysctl("net/ipv4/ip_forward"); }) == "1");
  CHECK(*read_sysctl("net/ipv4/ip_forward") == *own_before);
  CHECK(set_forwarding(other, {.ipv4 = true, .ipv6 = true})->ipv4 == true);
  CHECK_FALSE(read_sysctl("../etc/passwd"));
  CHECK_FALSE(read_sysctl("/etc/passwd"));
  const auto missing = write_sysctl("net/ipv4/no_such_thing", "1");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("net/ipv4/no_such_thing") != std::string::npos);
}

TEST_CASE("a Pod's sysctls are as wanted, on and off") {
  RN_NEEDS_NAMESPACES();
  const auto pod = testing::new_namespace();
  REQUIRE(prepare_pod(pod, {.unprivileged_port_start = 0, .ping_group_range = "0 2147483647"}));
  const auto value = [&](const char* key) { return *inside(pod, [&] { return read_sysctl(key); }); };
  CHECK(value("net/ipv4/ip_unprivileged_port_start") == "0");
  CHECK(value("net/ipv4/ping_group_range") == "0 2147483647");
  CHECK(value("net/ipv6/conf/all/disable_ipv6") == "0");
  REQUIRE(prepare_pod(
      pod, {.is_ipv6_enabled = false, .unprivileged_port_start = 1024, .ping_group_range = "1 0"}));
  CHECK(value("net/ipv4/ip_unprivileged_port_start") == "1024");
  CHECK(value("net/ipv6/conf/all/disable_ipv6") == "1");
  REQUIRE(prepare_pod(pod));  // what is not named stays
  CHECK(value("net/ipv4/ip_unprivileged_port_start") == "1024");
  CHECK(value("net/ipv4/ping_group_range") == "1 0");
  CHECK(value("net/ipv6/conf/all/disable_ipv6") == "0");
  REQUIRE(set_route_localnet(pod, "lo", true));
  CHECK(value("net/ipv4/conf/lo/route_localnet") == "1");
}
