#pragma once
// What the tests of HostKeeper share.

#include <catch2/catch.hpp>

#include "bridge_world.h"
#include "network/netlink.h"

namespace rusternetes::host_agent::testing {

inline NodeState node(const BridgeWorld& world, int number, bool is_ready = true) {
  const std::string n = std::to_string(number);
  return {
      "n" + n, {world.network.address(10 + number)}, {*IpPrefix::parse("10.244." + n + ".0/24")}, is_ready};
}

inline ClusterState both(const BridgeWorld& world) {
  ClusterState out;
  out.nodes = {node(world, 1), node(world, 2)};
  out.ranges.emplace();
  return out;
}

inline HostKeeper keeper_of(const BridgeWorld& world, const HostAgentOptions& options) {
  auto made = HostKeeper::open(world.host, options);
  REQUIRE(made);
  return *std::move(made);
}
inline HostKeeper keeper_of(const BridgeWorld& world) { return keeper_of(world, world.options()); }

inline std::size_t routes_of_cluster(const NetworkNamespace& host) {
  auto netlink = network::Netlink::open(host);
  return network::cluster_routes(*netlink, "demo")->size();
}

// Everything stands, and another look finds nothing to do.
inline void keep(HostKeeper& keeper, const ClusterState& state) {
  const auto first = keeper.keep(state);
  for (const auto& each : first.failures) FAIL_CHECK(each.object << ": " << each.message);
  const auto again = keeper.keep(state);
  CHECK(again.is_whole());
  for (const auto& each : again.changed) FAIL_CHECK("changed again: " << each);
}

}  // namespace rusternetes::host_agent::testing
