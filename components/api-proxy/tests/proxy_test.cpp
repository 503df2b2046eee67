// Connections through the proxy: what passes, and what it costs.

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "proxy_world.h"

using namespace rusternetes;
using namespace rusternetes::api_proxy;
using namespace rusternetes::api_proxy::testing;

TEST_CASE("connections are spread evenly over ready servers") {
  TestServer a("a"), b("b"), c("c");
  World world({a.port(), b.port(), c.port()});
  REQUIRE(world.are_ready(3));
  std::vector<std::unique_ptr<Caller>> callers;
  std::map<std::string, int> seen;
  for (int i = 0; i < 9; ++i) {
    callers.push_back(std::make_unique<Caller>(world.port()));
    ++seen[callers.back()->get("/who")];
  }
  CHECK(seen == std::map<std::string, int>{{"a", 3}, {"b", 3}, {"c", 3}});
  for (std::size_t i = 0; i < 3; ++i) CHECK(world.connections(i) == 3);
  for (int i = 0; i < 3; ++i) callers.erase(callers.begin());
  CHECK(eventually([&] { return world.connections() == 6; }));
}

TEST_CASE("a client's certificate reaches the server") {
  TestServer server("a");
  World world({server.port()});
  CHECK(Caller(world.port(), true).get("/who") == "a with certificate");
  CHECK(Caller(world.port(), false).get("/who") == "a");
}

TEST_CASE("the first connection does not wait for a probe") {
  Listener silent_to_probes;
  World world({silent_to_probes.port()}, [](Options& options) { options.probe_timeout = 10s; });
  const Socket client = Socket::connect(world.port());
  REQUIRE(client.send("hello"));
  std::vector<Socket> accepted;  // the probe's connection and the client's, in either order
  for (int i = 0; i < 2; ++i) accepted.push_back(silent_to_probes.accept());
  CHECK(world.standing(0) == Balancer::Standing::unknown);
  int greeted = 0;
  for (const auto& socket : accepted) greeted += socket.read(5) == "hello";
  CHECK(greeted == 1);
}

namespace {

// One server without TLS, which no probe gets anywhere with: connections are led to it all the same.
struct PlainWorld {
  Listener listener;
  World world;
  explicit PlainWorld(const std::function<void(Options&)>& adjust = {})
      : world({listener.port()}, [&](Options& options) {
          options.probe_interval = 60s;
          options.probe_timeout = 10ms;
          if (adjust) adjust(options);
        }) {
    // Its probe has been, and does not stand among the connections that follow.
    REQUIRE(eventually([&] { return world.standing(0) == Balancer::Standing::failed; }));
    listener.accept();
  }
  std::pair<Socket, Socket> connect() {
    Socket client = Socket::connect(world.port());
    Socket server = listener.accept();
    return {std::move(client), std::move(server)};
  }
};

}  // namespace

TEST_CASE("the end of the client's half passes, and the answer comes back") {
  PlainWorld world;
  auto [client, server] = world.connect();
  REQUIRE(client.send("question"));
  client.end();
  CHECK(server.read_to_end() == "question");
  REQUIRE(server.send("answer"));
  server.end();
  CHECK(client.read_to_end() == "answer");
  CHECK(eventually([&] { return world.world.connections() == 0; }));
}

TEST_CASE("the end of the server's half passes, and the client may still speak") {
  PlainWorld world;
  auto [client, server] = world.connect();
  REQUIRE(server.send("greeting"));
  server.end();
  CHECK(client.read_to_end() == "greeting");
  REQUIRE(client.send("last words"));
  client.end();
  CHECK(server.read_to_end() == "last words");
  CHECK(eventually([&] { return world.world.connections() == 0; }));
}

TEST_CASE("a reset passes as a reset, either way") {
  PlainWorld world;
  const bool is_server = GENERATE(false, true);
  auto [client, server] = world.connect();
  REQUIRE(client.send("a"));
  REQUIRE(server.read(1) == "a");
  REQUIRE(server.send("b"));
  REQUIRE(client.read(1) == "b");
  (is_server ? server : client).reset();
  char byte;
  CHECK(::recv((is_server ? client : server).fd(), &byte, 1, 0) == -1);
  CHECK(errno == ECONNRESET);
  CHECK(eventually([&] { return world.world.connections() == 0; }));
}

TEST_CASE("large transfers pass whole in both directions at once") {
  PlainWorld world;
  auto [client, server] = world.connect();
  const std::string up = pattern(48 << 20), down = pattern(40 << 20);
  std::thread sends_up([&, &from = client] { from.send(up), from.end(); });
  std::thread sends_down([&, &from = server] { from.send(down), from.end(); });
  std::string got_down;
  std::thread reads_down([&, &at = client] { got_down = at.read_to_end(); });
  const std::string got_up = server.read_to_end();
  sends_up.join();
  sends_down.join();
  reads_down.join();
  CHECK(got_up.size() == up.size());
  CHECK(got_down.size() == down.size());
  CHECK((got_up == up && got_down == down));
}

TEST_CASE("who does not read is not read for: the sender waits, and nothing is lost") {
  PlainWorld world;
  auto [client, server] = world.connect();
  const bool is_server = GENERATE(false, true);
  const Socket& sender = is_server ? server : client;
  const Socket& reader = is_server ? client : server;
  // Small buffers of the kernel's, so that the rest would have to be the proxy's.
  const int small = 64 << 10;
  ::setsockopt(sender.fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  const std::string piece = pattern(1 << 20);
  std::size_t sent = 0;
  for (auto last = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() < last + 300ms;) {
    const ssize_t n = ::send(sender.fd(), piece.data() + sent % piece.size(),
                             piece.size() - sent % piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
      last = std::chrono::steady_clock::now();
    }
    REQUIRE(sent < (64u << 20));  // else somebody keeps all of it
    std::this_thread::sleep_for(1ms);
  }
  // The way back is not held up.
  REQUIRE(reader.send("back"));
  CHECK(sender.read(4) == "back");
  sender.end();
  std::size_t received = 0;
  bool is_same = true;
  while (received < sent) {
    const std::string got = reader.read(std::min(piece.size() - received % piece.size(), sent - received));
    if (got.empty()) break;
    is_same &= got == piece.substr(received % piece.size(), got.size());
    received += got.size();
  }
  CHECK(received == sent);
  CHECK(is_same);
  CHECK(reader.is_at_end());
}

TEST_CASE("beyond the bound of connections a client waits until there is a place") {
  PlainWorld world([](Options& options) { options.connections = 2; });
  auto first = world.connect();
  auto second = world.connect();
  const Socket third = Socket::connect(world.world.port());
  REQUIRE(third.send("here"));
  std::this_thread::sleep_for(100ms);  // would be enough to come through
  CHECK(world.world.connections() == 2);
  first.first.reset();
  const Socket server = world.listener.accept();
  CHECK(server.read(4) == "here");
  CHECK(world.world.connections() == 2);
}

TEST_CASE("stopping takes no new connections, leaves time to those there are, and ends them") {
  PlainWorld world([](Options& options) { options.grace = 20s; });
  auto ends_itself = world.connect();
  const auto port = world.world.port();
  auto stopped = std::async(std::launch::async, [&] { world.world.stop(); });
  CHECK(eventually([&] {  // nobody listens there any more: somebody else can
    const Socket other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(port);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(other.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return ::bind(other.fd(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0;
  }));
  REQUIRE(ends_itself.first.send("still"));
  CHECK(ends_itself.second.read(5) == "still");
  ends_itself.first.end();
  ends_itself.second.end();
  CHECK(stopped.wait_for(10s) == std::future_status::ready);

  PlainWorld other;  // its grace is short
  auto stays = other.connect();
  other.world.stop();
  CHECK(stays.first.is_at_end());
  CHECK(stays.second.is_at_end());
}

TEST_CASE("one that leaves keeps its connections, and the next one on its port takes every new one") {
  TestServer server("one");
  World old({server.port()});
  REQUIRE(old.are_ready(1));
  Caller stays(old.port());
  REQUIRE(stays.get("/who") == "one");
  World next({server.port()}, [&](Options& options) { options.listen.port = old.port(); });
  REQUIRE(next.are_ready(1));
  std::atomic<bool> is_over = false;
  std::atomic<int> answered = 0;
  std::vector<std::string> wrong;
  std::thread comes([&] {
    while (!is_over) {
      const std::string answer = get_once(old.port(), "/who");
      answer == "one" ? (void)++answered : wrong.push_back(answer);
    }
  });
  REQUIRE(eventually([&] { return answered > 20; }));
  for (int time = 0; time < 2; ++time)  // the second time there is nothing to be done
    run_blocking(old.thread.executor(), old.proxy->leave());
  const int before = answered;
  REQUIRE(eventually([&] { return answered > before + 20; }));
  is_over = true;
  comes.join();
  CHECK(wrong == std::vector<std::string>{});
  CHECK(stays.get("/who") == "one");
  CHECK(old.connections() >= 1);
}

TEST_CASE("health says that it runs, and whether a server is ready") {
  TestServer server("a");
  server.is_ready = false;
  World world({server.port()}, [](Options& options) { options.health = HostPort{"127.0.0.1", 0}; });
  const auto port = world.proxy->health_port();
  CHECK(plain_status(port, "/healthz") == 200);
  CHECK(plain_status(port, "/readyz") == 500);
  CHECK(plain_status(port, "/else") == 404);
  server.is_ready = true;
  REQUIRE(world.are_ready(1));
  CHECK(plain_status(port, "/readyz?verbose") == 200);
  server.kill();
  CHECK(eventually([&] { return plain_status(port, "/readyz") == 500; }));
  CHECK(plain_status(port, "/healthz") == 200);
}

TEST_CASE("names are resolved before the first connection is led anywhere") {
  TestServer server("a");
  World world({}, [&](Options& options) {
    options.servers = {{"localhost", server.port()}};
    options.probe_interval = 10s;
  });
  CHECK(get_once(world.port(), "/who") == "a");
  CHECK(world.are_ready(1));  // its certificate is of that name
}
