// What the kernel is asked directly: generations of rules, and flows.
#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "network/conntrack.h"
#include "network/nft.h"
#include "network/nft_state.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::network;
using testing::ip;

namespace {
Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}
}  // namespace

TEST_CASE("a generation goes up with each transaction, and a chain tells of its rules") {
  RN_NEEDS_NAMESPACES();
  const auto where = testing::new_namespace();
  const auto state = NftState::open(where);
  REQUIRE(state);
  const auto begin = state->generation();
  REQUIRE(begin);
  REQUIRE(nft(where,
              "add table inet t\nadd chain inet t c\nadd chain inet t empty\nadd rule inet t c return\nadd "
              "rule inet t c return"));
  CHECK(*state->generation() == *begin + 1);
  CHECK(*state->generation() == *begin + 1);
  CHECK(*state->chain_uses("t", "c") == 2);
  CHECK(*state->chain_uses("t", "empty") == 0);
  for (const auto& [table, chain] : {std::pair{"t", "d"}, std::pair{"u", "c"}}) {
    const auto missing = state->chain_uses(table, chain);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().is("NotFound"));
  }
  REQUIRE(nft(where, "flush table inet t"));
  CHECK(*state->chain_uses("t", "c") == 0);
  CHECK(*state->generation() == *begin + 2);
}

TEST_CASE("a counter tells how many packets it has counted") {
  RN_NEEDS_NAMESPACES();
  const auto left = testing::new_namespace(), right = testing::new_namespace();
  testing::join(left, "v0", testing::range("10.9.0.1/24"), right, "v1", testing::range("10.9.0.2/24"));
  REQUIRE(nft(left,
              "add table inet t\nadd counter inet t c\nadd chain inet t out { type filter hook output priority 0; }\n"
              "add rule inet t out ip daddr 10.9.0.2 udp dport 9 counter name c"));
  const auto state = NftState::open(left);
  REQUIRE(state);
  CHECK(*state->counted_packets("t", "c") == 0);
  REQUIRE(testing::send_datagram(left, ip("10.9.0.2")));
  REQUIRE(testing::send_datagram(left, ip("10.9.0.2")));
  CHECK(*state->counted_packets("t", "c") == 2);
  const auto missing = state->counted_packets("t", "d");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().is("NotFound"));
}

TEST_CASE("a flow is found with what it was translated to, and ends when it shall") {
  RN_NEEDS_NAMESPACES();
  const auto left = testing::new_namespace(), right = testing::new_namespace();
  testing::join(left, "v0", testing::range("10.9.0.1/24"), right, "v1", testing::range("10.9.0.2/24"));
  REQUIRE(nft(left,
              "add table inet t\nadd chain inet t out { type nat hook output priority -100; }\n"
              "add rule inet t out ip daddr 10.9.0.77 udp dport 9 dnat ip to 10.9.0.2:7\n"));
  REQUIRE(testing::send_datagram(left, ip("10.9.0.77")));
  REQUIRE(testing::send_datagram(left, ip("10.9.0.2")));
  int seen = 0;
  const auto none = end_flows(left, AF_INET, IPPROTO_UDP, [&](const Flow& flow) {
    ++seen;
    CHECK(flow.source == ip("10.9.0.1"));
    CHECK(flow.destination_port == 9);
    CHECK(flow.is_destination_translated() == (flow.destination == ip("10.9.0.77")));
    if (flow.is_destination_translated()) {
      CHECK(flow.reply_source == ip("10.9.0.2"));
      CHECK(flow.reply_source_port == 7);
    }
    return false;
  });
  REQUIRE(none);
  CHECK(*none == 0);
  CHECK(seen == 2);
  CHECK(*end_flows(left, AF_INET, IPPROTO_TCP, [](const Flow&) { return true; }) == 0);
  CHECK(*end_flows(left, AF_INET6, IPPROTO_UDP, [](const Flow&) { return true; }) == 0);
  CHECK(*end_flows(left, AF_INET, IPPROTO_UDP,
                   [](const Flow& flow) { return flow.is_destination_translated(); }) == 1);
  CHECK(*end_flows(left, AF_INET, IPPROTO_UDP, [](const Flow&) { return true; }) == 1);
  CHECK(*end_flows(left, AF_INET, IPPROTO_UDP, [](const Flow&) { return true; }) == 0);
}
