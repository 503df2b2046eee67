// Which server is taken, and what is known of each, without a socket.

#include "api-proxy/balancer.h"

#include <catch2/catch.hpp>

using namespace rusternetes::api_proxy;
using namespace std::chrono_literals;
using Probe = Balancer::Probe;
using Standing = Balancer::Standing;

namespace {

const Balancer::Time start{1h};

struct Servers : Balancer {
  explicit Servers(std::size_t count, bool are_ready = true) : Balancer(count) {
    for (std::size_t i = 0; are_ready && i < count; ++i) note_probe(i, Probe::ready, start);
  }
  std::size_t take_any() { return *take(std::vector<bool>(size())); }
  std::vector<std::size_t> take_many(int count) {
    std::vector<std::size_t> out;
    while (count-- > 0) out.push_back(take_any());
    return out;
  }
};
using List = std::vector<std::size_t>;

}  // namespace

TEST_CASE("ready servers are taken in turn while they have as many connections") {
  Servers servers(3);
  CHECK(servers.take_many(7) == List{0, 1, 2, 0, 1, 2, 0});
  CHECK(servers.connections(0) == 3);
}

TEST_CASE("the server with the fewest connections is taken, whoever's turn it is") {
  Servers servers(3);
  servers.take_many(6);
  servers.release(1);
  servers.release(1);
  CHECK(servers.take_many(3) == List{1, 1, 2});
}

TEST_CASE("connections that end at once are spread, too") {
  Servers servers(3);
  List seen;
  for (int i = 0; i < 6; ++i) {
    seen.push_back(servers.take_any());
    servers.release(seen.back());
  }
  CHECK(seen == List{0, 1, 2, 0, 1, 2});
}

TEST_CASE(
    "before anything is known all are tried in turn, and a ready one is preferred as soon as there is one") {
  Servers servers(3, false);
  CHECK_FALSE(servers.has_ready());
  CHECK(servers.take_many(4) == List{0, 1, 2, 0});
  CHECK(servers.note_probe(2, Probe::ready, start));
  CHECK(servers.has_ready());
  CHECK(servers.take_many(3) == List{2, 2, 2});
}

TEST_CASE("each server is tried once for a connection") {
  Servers servers(3);
  std::vector<bool> tried(3);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto server = servers.take(tried);
    REQUIRE(server);
    CHECK_FALSE(tried[*server]);
    tried[*server] = true;
  }
  CHECK_FALSE(servers.take(tried));
}

TEST_CASE(
    "one probe without an answer is enough to get no new connections, and one with it to get them again") {
  Servers servers(2);
  CHECK(servers.note_probe(0, Probe::failed, start + 1s));
  CHECK(servers.standing(0) == Standing::failed);
  CHECK(servers.take_many(3) == List{1, 1, 1});
  CHECK_FALSE(servers.note_probe(0, Probe::failed, start + 2s));
  CHECK(servers.note_probe(0, Probe::ready, start + 3s));
  CHECK(servers.take_many(3) == List{0, 0, 0});  // until it has as many as the other
}

TEST_CASE("connections of a server are given up after two probes in a row without an answer") {
  Servers servers(2);
  servers.take_many(2);
  servers.note_probe(0, Probe::failed, start + 1s);
  CHECK(servers.to_leave().empty());
  servers.note_probe(0, Probe::ready, start + 2s);
  servers.note_probe(0, Probe::failed, start + 3s);
  CHECK(servers.to_leave().empty());  // not in a row
  servers.note_probe(0, Probe::failed, start + 4s);
  CHECK(servers.to_leave() == List{0});
  servers.release(0);
  CHECK(servers.to_leave().empty());
}

TEST_CASE("connections are not given up while no other server answers") {
  Servers servers(2);
  servers.take_many(2);
  for (int i = 1; i <= 2; ++i) {
    servers.note_probe(0, Probe::failed, start + i * 1s);
    servers.note_probe(1, Probe::failed, start + i * 1s);
  }
  CHECK(servers.to_leave().empty());
  servers.note_probe(1, Probe::not_ready, start + 3s);
  CHECK(servers.to_leave() == List{0});
}

TEST_CASE("a server that says that it is not ready keeps its connections and gets no new ones") {
  Servers servers(2);
  servers.take_many(2);
  for (int i = 1; i <= 5; ++i) servers.note_probe(0, Probe::not_ready, start + i * 1s);
  CHECK(servers.standing(0) == Standing::not_ready);
  CHECK(servers.to_leave().empty());
  CHECK(servers.take_many(3) == List{1, 1, 1});
}

TEST_CASE("without a ready server, one that answers comes before one that does not") {
  Servers servers(3);
  servers.note_probe(0, Probe::failed, start + 1s);
  servers.note_probe(1, Probe::not_ready, start + 1s);
  servers.note_probe(2, Probe::failed, start + 1s);
  CHECK(servers.take_many(2) == List{1, 1});
  servers.note_probe(1, Probe::failed, start + 2s);
  // In turn, however many connections they have: the dead one has none.
  CHECK(servers.take_many(4) == List{2, 0, 1, 2});
}

TEST_CASE("a server that refused gets no connections until a probe that began afterwards finds it ready") {
  Servers servers(2);
  CHECK(servers.note_refused(0, start + 10s));
  CHECK_FALSE(servers.note_refused(0, start + 11s));
  CHECK(servers.standing(0) == Standing::failed);
  CHECK_FALSE(servers.note_probe(0, Probe::ready, start + 10500ms));
  CHECK_FALSE(servers.note_probe(0, Probe::not_ready, start + 10900ms));
  CHECK(servers.take_many(2) == List{1, 1});
  CHECK(servers.note_probe(0, Probe::ready, start + 11s));
  CHECK(servers.take_many(1) == List{0});
}

TEST_CASE("a refusal alone does not end a server's connections") {
  Servers servers(2);
  servers.take_many(2);
  for (int i = 1; i <= 5; ++i) servers.note_refused(0, start + i * 1s);
  CHECK(servers.to_leave().empty());
  servers.note_probe(0, Probe::failed, start + 6s);
  CHECK(servers.to_leave().empty());
}
