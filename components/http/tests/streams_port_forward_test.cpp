// Port-forward's wire: pairs of streams over SPDY, in a tunnel, and the channels of old.

#include "http/streams/port_forward.h"

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "streams_harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

// Port 7 echoes and then says its port; every other fails.
class Echo {
 public:
  explicit Echo(std::chrono::milliseconds creation) { timeouts_.creation = creation; }

  Task<> serve(std::shared_ptr<Exchange> exchange) {
    std::vector<std::string> ports;
    const std::string& target = exchange->head().target;
    if (const auto at = target.find("port="); at != std::string::npos) ports.push_back(target.substr(at + 5));
    auto accepted = co_await PortForward::accept(exchange, ports, timeouts_);
    if (!accepted) co_return;
    auto forward = *std::move(accepted);
    ++open;
    TaskGroup tasks(co_await asio::this_coro::executor);
    for (;;) {
      auto next = co_await forward->next();
      if (!next) break;
      tasks.spawn("connection", echo(*std::move(next)));
    }
    while (!forward->is_gone() && tasks.size()) co_await sleep_for(std::chrono::milliseconds(1));
    co_await tasks.stop();
    co_await forward->close(std::chrono::seconds(2));
    --open;
  }

  std::atomic<int> open{0};

 private:
  Task<> echo(ForwardedConnection connection) {
    if (connection.port != 7) {
      (void)co_await connection.error->write("no such port");
      (void)co_await connection.error->shutdown_write();
      connection.data->reset();
      co_return;
    }
    std::size_t size = 0;
    for (;;) {
      auto piece = co_await connection.data->read_some();
      if (!piece || piece->empty()) break;
      size += piece->size();
      auto sent = co_await connection.data->write(*piece);
      if (!sent) break;
      // Where no half-close can be told, a line is all; a piece of other bytes may end so by chance.
      if (size < 10 && piece->ends_with("\n")) break;
    }
    (void)co_await connection.data->write("port " + std::to_string(connection.port));
    (void)co_await connection.data->shutdown_write();
    (void)co_await connection.error->shutdown_write();
  }

  StreamTimeouts timeouts_;
};

struct World {
  explicit World(std::chrono::milliseconds creation = std::chrono::seconds(30)) : echo(creation) {}
  Echo echo;
  StreamHarness net{[this](std::shared_ptr<Exchange> exchange) { return echo.serve(std::move(exchange)); }};
};
using Test = std::function<Task<>(World&)>;
void in_world(Test test, std::chrono::milliseconds creation = std::chrono::seconds(30)) {
  World world(creation);
  world.net.run(test(world));
  CHECK(eventually([&] { return world.echo.open == 0; }));
}

struct Pair {
  std::shared_ptr<MultiplexedStream> error, data;
};
Task<Pair> open_pair(std::shared_ptr<SpdyConnection> connection, std::string port, std::string id) {
  Pair out;
  auto error = co_await connection->open(stream_type("error", port, id));
  REQUIRE(error);
  out.error = *error;
  co_await shut(*out.error);
  auto data = co_await connection->open(stream_type("data", port, id));
  REQUIRE(data);
  out.data = *data;
  co_return out;
}

Task<> one(std::shared_ptr<SpdyConnection> connection, int number, int& good) {
  Pair pair = co_await open_pair(connection, "7", std::to_string(number));
  const std::string body = pattern(1000 + static_cast<std::size_t>(number) * 333);
  co_await put(*pair.data, body);
  co_await shut(*pair.data);
  auto all = co_await read_to_end(*pair.data);
  auto error = co_await read_to_end(*pair.error);
  if (all && *all == body + "port 7" && error && error->empty()) ++good;
}

Task<> forwards(World& world, std::shared_ptr<SpdyConnection> connection) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  int good = 0;
  for (int i = 0; i < 200; ++i) tasks.spawn("forward", one(connection, i, good));
  while (tasks.size()) co_await sleep_for(std::chrono::milliseconds(2));
  CHECK(good == 200);
  Pair bad = co_await open_pair(connection, "8", "900");
  auto text = co_await read_to_end(*bad.error);
  REQUIRE(text);
  CHECK(*text == "no such port");
  auto data = co_await bad.data->read_some();
  CHECK_FALSE(data);
  // Without a port, or of another type: refused.
  auto portless = co_await connection->open(stream_type("data"));
  CHECK_FALSE(portless);
  auto other = co_await connection->open(stream_type("stdin", "7"));
  CHECK_FALSE(other);
  // As the oldest clients do it.
  Pair unnumbered = co_await open_pair(connection, "7", "");
  co_await put(*unnumbered.data, "x\n");
  auto echoed = co_await read_to_end(*unnumbered.data);
  REQUIRE(echoed);
  CHECK(*echoed == "x\nport 7");
  (void)world;
}

Task<> over_spdy(World& world) {
  Upgraded upgraded = co_await world.net.upgrade_spdy("/portForward", "portforward.k8s.io");
  CHECK(upgraded.headers.get("x-stream-protocol-version") == "portforward.k8s.io");
  auto connection = world.net.spdy(upgraded);
  co_await forwards(world, connection);
  co_await connection->close(std::chrono::seconds(1));
}

class Inside final : public ByteStream {
 public:
  explicit Inside(std::shared_ptr<MultiplexedStream> stream) : stream_(std::move(stream)) {}
  Task<Result<std::string>> read_some() override { return stream_->read_some(); }
  Task<Result<void>> write(std::string_view bytes) override { return stream_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return stream_->shutdown_write(); }

 private:
  std::shared_ptr<MultiplexedStream> stream_;
};

Task<> over_tunnel(World& world) {
  Upgraded upgraded = co_await world.net.upgrade_websocket("/portForward", "SPDY/3.1+portforward.k8s.io");
  CHECK(upgraded.headers.get("sec-websocket-protocol") == "SPDY/3.1+portforward.k8s.io");
  WebSocketConnection::Options options;
  options.form = WebSocketConnection::Form::tunnel;
  auto tunnel = world.net.websocket(upgraded, options);
  auto connection =
      SpdyConnection::create(world.net.thread.executor(), std::make_unique<Inside>(tunnel->take_channel(0)),
                             SpdyConnection::Role::client, {});
  tunnel->start();
  connection->start();
  co_await forwards(world, connection);
  auto pinged = co_await connection->ping();
  CHECK(pinged);
  co_await connection->close(std::chrono::seconds(1));
  co_await tunnel->close(std::chrono::seconds(1));
}

Task<> over_channels(World& world, std::string protocol) {
  Upgraded upgraded = co_await world.net.upgrade_websocket("/portForward?port=7,300", protocol);
  WebSocketConnection::Options options;
  options.channels = 4;
  if (protocol.ends_with("base64.channel.k8s.io")) options.form = WebSocketConnection::Form::base64;
  auto connection = world.net.websocket(upgraded, options);
  auto data = connection->take_channel(0), error = connection->take_channel(1),
       bad = connection->take_channel(3);
  connection->start();
  std::string got, bad_text;
  co_await put(*data, "hello\n");
  while (got.size() < 14) {
    auto piece = co_await data->read_some();
    REQUIRE(piece);
    got += *piece;
  }
  CHECK(got == std::string("\x07\0hello\nport 7", 14));
  while (bad_text.size() < 14) {
    auto piece = co_await bad->read_some();
    REQUIRE(piece);
    bad_text += *piece;
  }
  CHECK(bad_text == std::string("\x2c\x01no such port", 14));
  co_await connection->wait_closed();  // all of its ports are done
  co_await connection->close(std::chrono::seconds(1));
}

Task<> refusals(World& world) {
  Upgraded unknown = co_await world.net.upgrade_spdy("/portForward", "v4.channel.k8s.io");
  CHECK(unknown.status == 403);
  CHECK(unknown.headers.get("x-accepted-stream-protocol-versions") == "portforward.k8s.io");
  Upgraded tunnel = co_await world.net.upgrade_websocket("/portForward", "SPDY/3.1+other.k8s.io");
  CHECK(tunnel.status == 403);
  Upgraded portless = co_await world.net.upgrade_websocket("/portForward", "v4.channel.k8s.io");
  CHECK(portless.status == 400);
  CHECK(portless.body == "query parameter \"port\" is required\n");
  Upgraded other = co_await world.net.upgrade_websocket("/portForward?port=7", "v9.channel.k8s.io");
  CHECK(other.status == 403);
}

Task<> half_a_pair(World& world) {
  Upgraded upgraded = co_await world.net.upgrade_spdy("/portForward", "portforward.k8s.io");
  auto connection = world.net.spdy(upgraded);
  auto error = co_await connection->open(stream_type("error", "7", "5"));
  REQUIRE(error);
  auto text = co_await read_to_end(**error);
  REQUIRE(text);
  CHECK(*text == "(request=5) timed out waiting for streams");
  co_await connection->close(std::chrono::seconds(1));
}

}  // namespace

TEST_CASE("port-forward over SPDY: 200 connections at once, errors, and streams it does not take") {
  in_world(over_spdy);
}
TEST_CASE("port-forward in a WebSocket tunnel: the same") { in_world(over_tunnel); }
TEST_CASE("port-forward over WebSocket channels: two for each port, its number first") {
  const std::string protocol = GENERATE("v4.channel.k8s.io", "v4.base64.channel.k8s.io", "");
  CAPTURE(protocol);
  in_world([protocol](World& world) { return over_channels(world, protocol); });
}
TEST_CASE("requests for port-forward that cannot be served are refused") { in_world(refusals); }
TEST_CASE("a port-forward connection that stays incomplete is told so") {
  in_world(half_a_pair, std::chrono::milliseconds(50));
}

TEST_CASE("the ports of a request are read, and bad ones refused") {
  CHECK(*parse_forwarded_ports({"80,443", "8080"}) == std::vector<std::uint16_t>{80, 443, 8080});
  CHECK(parse_forwarded_ports({}).error().message == "query parameter \"port\" is required");
  CHECK(parse_forwarded_ports({""}).error().message == "query parameter \"port\" cannot be empty");
  CHECK(parse_forwarded_ports({"0"}).error().message == "port \"0\" must be > 0");
  CHECK_FALSE(parse_forwarded_ports({"70000"}));
  CHECK_FALSE(parse_forwarded_ports({"80,"}));
  CHECK_FALSE(parse_forwarded_ports({"http"}));
}

// Not run by default: for clients of Kubernetes' own libraries.
TEST_CASE("serve port-forward for other clients", "[.]") {
  World world;
  const char* seconds = std::getenv("SECONDS_TO_SERVE");
  std::printf("http://127.0.0.1:%u/portForward\n", world.net.port);
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::seconds(seconds ? std::atoi(seconds) : 30));
}
