#include "uplink/uplink_watch.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <iostream>

#include "network/netlink.h"

using namespace rusternetes;
using namespace std::chrono_literals;
using network::Netlink;
using network::NetworkNamespace;

namespace {

// A namespace with a veth "eth0", whose other end is in another one.
struct Node {
  explicit Node(NetworkNamespace n, NetworkNamespace o) : node(std::move(n)), outside(std::move(o)) {
    connect();
  }
  void connect() {
    auto links = Netlink::open(node);
    REQUIRE(links);
    REQUIRE(links->create_veth({"eth0", "peer0", &outside, 0, ""}));
  }
  // As an engine does when the container that owns the namespace ends.
  void cut() {
    auto links = Netlink::open(outside);
    REQUIRE(links);
    REQUIRE(links->delete_link("peer0"));
  }
  NetworkNamespace node, outside;
};

std::optional<Node> make_node() {
  auto node = NetworkNamespace::create(), outside = NetworkNamespace::create();
  if (node && outside) return std::optional<Node>(std::in_place, *node, *outside);
  std::cout << "SKIPPED: no network namespace can be made here\n";
  return std::nullopt;
}

}  // namespace

TEST_CASE("a link that has gone is lost after the limit, and told once") {
  auto world = make_node();
  if (!world) return;
  std::atomic<int> told = 0;
  std::promise<std::chrono::steady_clock::time_point> lost;
  auto watch = uplink::UplinkWatch::start(world->node, "eth0", 300ms, [&] {
    if (++told == 1) lost.set_value(std::chrono::steady_clock::now());
  });
  REQUIRE(watch);
  auto when = lost.get_future();
  CHECK(when.wait_for(500ms) == std::future_status::timeout);  // it is there
  const auto cut_at = std::chrono::steady_clock::now();
  world->cut();
  REQUIRE(when.wait_for(10s) == std::future_status::ready);
  CHECK(when.get() - cut_at >= 300ms);
  watch->reset();
  CHECK(told == 1);
}

TEST_CASE("a link that comes back in time is not lost") {
  auto world = make_node();
  if (!world) return;
  std::promise<void> lost;
  auto watch = uplink::UplinkWatch::start(world->node, "eth0", 1s, [&] { lost.set_value(); });
  REQUIRE(watch);
  auto told = lost.get_future();
  for (int time = 0; time < 5; ++time) {  // for longer than the limit, all in all
    world->cut();
    CHECK(told.wait_for(300ms) == std::future_status::timeout);
    world->connect();
    CHECK(told.wait_for(300ms) == std::future_status::timeout);  // it is seen to be there
  }
  CHECK(told.wait_for(1200ms) == std::future_status::timeout);
  world->cut();
  CHECK(told.wait_for(10s) == std::future_status::ready);
}

TEST_CASE("a link that was never there is lost as well, and other links are not it") {
  auto world = make_node();
  if (!world) return;
  std::promise<void> lost;
  auto watch = uplink::UplinkWatch::start(world->node, "eth1", 100ms, [&] { lost.set_value(); });
  REQUIRE(watch);
  CHECK(lost.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE("a watch that nobody needs any more ends at once") {
  auto world = make_node();
  if (!world) return;
  auto watch = uplink::UplinkWatch::start(world->node, "eth0", 60s, [] {});
  REQUIRE(watch);
  const auto begin = std::chrono::steady_clock::now();
  watch->reset();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}
