// Servers that die, hang, refuse, and come back.

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <thread>

#include "proxy_world.h"

using namespace rusternetes;
using namespace rusternetes::api_proxy;
using namespace rusternetes::api_proxy::testing;
using Standing = Balancer::Standing;

namespace {

bool becomes(World& world, std::size_t server, Standing standing) {
  return eventually([&] { return world.standing(server) == standing; });
}

}  // namespace

TEST_CASE("no connection fails when a server has died, and it gets its share once it is back") {
  TestServer a("a"), b("b");
  // No probe tells of it: the first connection that is refused does.
  World world({a.port(), b.port()}, [](Options& options) { options.probe_interval = 30s; });
  REQUIRE(world.are_ready(2));
  a.kill();
  for (int i = 0; i < 8; ++i) CHECK(get_once(world.port(), "/who") == "b");
  CHECK(world.standing(0) == Standing::failed);
  a.start();
  // With probes it is found again.
  World watching({a.port(), b.port()});
  REQUIRE(watching.are_ready(2));
  a.kill();
  REQUIRE(becomes(watching, 0, Standing::failed));
  a.start();
  REQUIRE(watching.are_ready(2));
  Caller first(watching.port()), second(watching.port());
  const std::string both = first.get("/who") + second.get("/who");
  CHECK((both == "ab" || both == "ba"));
}

TEST_CASE("a client whose server dies hears of it and is served by another") {
  TestServer a("a"), b("b");
  World world({a.port(), b.port()});
  REQUIRE(world.are_ready(2));
  Caller one(world.port()), two(world.port());
  REQUIRE(one.get("/who") != two.get("/who"));
  a.kill();
  // The same clients, whose connections to it have broken.
  CHECK(one.get("/who") == "b");
  CHECK(two.get("/who") == "b");
}

TEST_CASE("a server that hangs gets no new connections, and those that it has are ended") {
  TestServer a("a"), b("b");
  World world({a.port(), b.port()}, [](Options& options) { options.probe_timeout = 300ms; });
  REQUIRE(world.are_ready(2));
  std::vector<Socket> clients;  // never say anything: nobody but the proxy could end these
  for (int i = 0; i < 4; ++i) clients.push_back(Socket::connect(world.port()));
  REQUIRE(eventually([&] { return world.connections(0) == 2 && world.connections(1) == 2; }));
  a.pause();
  REQUIRE(becomes(world, 0, Standing::failed));
  for (int i = 0; i < 6; ++i) CHECK(get_once(world.port(), "/who") == "b");
  CHECK(eventually([&] { return world.connections(0) == 0; }));
  CHECK(world.connections(1) == 2);
  int ended = 0;
  for (const auto& client : clients) {
    char byte;
    const ssize_t n = ::recv(client.fd(), &byte, 1, MSG_DONTWAIT);
    ended += n == 0 || (n < 0 && errno != EAGAIN);
  }
  CHECK(ended == 2);
  a.resume();
  REQUIRE(world.are_ready(2));
  CHECK(get_once(world.port(), "/who") == "a");  // it has fewer
}

TEST_CASE("a server that accepts and says nothing from the start is left out") {
  Listener silent;
  TestServer good("good");
  World world({silent.port(), good.port()}, [](Options& options) { options.probe_timeout = 200ms; });
  REQUIRE(becomes(world, 1, Standing::ready));
  for (int i = 0; i < 6; ++i) CHECK(get_once(world.port(), "/who") == "good");
  CHECK(world.standing(0) != Standing::ready);
}

TEST_CASE("while no server answers, connections are left alone: one that was only paused goes on") {
  TestServer only("only");
  World world({only.port()}, [](Options& options) { options.probe_timeout = 100ms; });
  REQUIRE(world.are_ready(1));
  Caller caller(world.port());
  REQUIRE(caller.get("/who") == "only");
  only.pause();
  REQUIRE(becomes(world, 0, Standing::failed));
  const int before = only.probes;
  std::this_thread::sleep_for(600ms);  // several more probes without an answer
  CHECK(world.connections(0) == 1);
  only.resume();
  REQUIRE(world.are_ready(1));
  CHECK(only.probes > before);
  CHECK(caller.get("/who") == "only");
  CHECK(world.connections(0) == 1);
}

TEST_CASE("a server that is not ready keeps its connections and gets no new ones") {
  TestServer a("a"), b("b");
  World world({a.port(), b.port()});
  REQUIRE(world.are_ready(2));
  const Socket one = Socket::connect(world.port()), two = Socket::connect(world.port());
  REQUIRE(eventually([&] { return world.connections(0) == 1 && world.connections(1) == 1; }));
  a.is_ready = false;
  REQUIRE(becomes(world, 0, Standing::not_ready));
  for (int i = 0; i < 4; ++i) CHECK(get_once(world.port(), "/who") == "b");
  const int probes = a.probes;
  CHECK(eventually([&] { return a.probes > probes + 4; }));
  CHECK(world.connections(0) == 1);
  // None is ready: one that answers is better than nothing.
  b.kill();
  CHECK(get_once(world.port(), "/who") == "a");
}

TEST_CASE("with all servers down clients are turned away at once, and served when one is up again") {
  TestServer a("a"), b("b");
  World world({a.port(), b.port()});
  REQUIRE(world.are_ready(2));
  a.kill();
  b.kill();
  REQUIRE(becomes(world, 0, Standing::failed));
  REQUIRE(becomes(world, 1, Standing::failed));
  const auto begun = std::chrono::steady_clock::now();
  CHECK(Socket::connect(world.port()).is_at_end());
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  b.start();
  // Tried although no probe has found it yet.
  CHECK(get_once(world.port(), "/who") == "b");
  REQUIRE(becomes(world, 1, Standing::ready));
  a.start();
  REQUIRE(world.are_ready(2));
}

TEST_CASE("a server that does not take connections in time costs a client little") {
  Listener full(0, 0);
  std::vector<Socket> waiting;  // fill its queue, so that the kernel drops what comes
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(full.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(waiting.back().fd(), reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  Listener good;
  // Nothing is known of either while these probes last, so the first is tried first.
  World world({full.port(), good.port()},
              [](Options& options) { options.probe_interval = options.probe_timeout = 60s; });
  const auto begun = std::chrono::steady_clock::now();
  const Socket client = Socket::connect(world.port());
  REQUIRE(client.send("hello"));
  int greeted = 0;
  for (int i = 0; i < 2 && greeted == 0; ++i) {  // a probe is there, too
    const Socket server = good.accept();
    char first = 0;
    REQUIRE(::recv(server.fd(), &first, 1, MSG_PEEK) == 1);
    if (first == 'h') ++greeted;
  }
  CHECK(greeted == 1);
  const auto took = std::chrono::steady_clock::now() - begun;
  CHECK(took >= 250ms);
  CHECK(took < 5s);
  CHECK(world.standing(0) == Standing::failed);
}

TEST_CASE("a server that resets connections before their first byte gets no more") {
  TestServer a("a"), b("b");
  World world({a.port(), b.port()}, [](Options& options) { options.probe_interval = 60s; });
  REQUIRE(world.are_ready(2));
  const auto port = a.port();
  a.kill();
  const Listener resetting(port);
  std::atomic<bool> is_over = false;
  std::atomic<int> resets = 0;
  std::thread resets_all([&] {
    for (;;) {
      Socket taken(::accept4(resetting.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (is_over || taken.fd() < 0) return;
      (void)taken.read(1);  // so that it stands, beyond doubt
      taken.reset();
      ++resets;
    }
  });
  // One client finds out, at worst: what it had sent is gone with the connection.
  for (int i = 0; i < 2; ++i) get_once(world.port(), "/who");
  CHECK(becomes(world, 0, Standing::failed));
  CHECK(resets >= 1);
  for (int i = 0; i < 6; ++i) CHECK(get_once(world.port(), "/who") == "b");
  is_over = true;
  Socket::connect(port);
  resets_all.join();
}

TEST_CASE("a server with another authority's certificate is not taken for ready") {
  TestServer server("a");
  const auto other = certs::make_authority({.common_name = "other-ca"}, Clock::system().now()).value();
  World world({server.port()}, [&](Options& options) { options.tls.ca_pem = other.certificate_pem; });
  REQUIRE(becomes(world, 0, Standing::failed));
  CHECK(server.probes == 0);
  // Whom clients trust they find out themselves.
  CHECK(get_once(world.port(), "/who") == "a");
}

TEST_CASE("a server that answers is probed over one connection") {
  TestServer server("a");
  World world({server.port()});
  REQUIRE(world.are_ready(1));
  const int before = server.probes;
  REQUIRE(eventually([&] { return server.probes > before + 5; }));
  CHECK(server.connections() == 1);
}
