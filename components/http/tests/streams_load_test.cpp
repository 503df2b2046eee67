// Exec's wire under load: many at once, much at once, readers that are slow, clients that go.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "streams_echo.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

Task<> one_of_many(ExecWorld& world, int number, int& good) {
  const bool is_spdy = number % 2;
  const std::string text =
      "output of " + std::to_string(number) + std::string(static_cast<std::size_t>(number) * 40, '.');
  const std::string target = "/exec?stdin=1&stdout=1";
  if (is_spdy) {
    SpdyStreams streams = co_await open_spdy(world, target, "v4.channel.k8s.io");
    co_await put(*streams.in, text);
    co_await shut(*streams.in);
    auto out = co_await read_to_end(*streams.out);
    auto status = co_await read_to_end(*streams.error);
    if (out && status && *out == text && *status == kExit7) ++good;
    co_await streams.connection->close(std::chrono::seconds(1));
    co_return;
  }
  Upgraded upgraded = co_await world.net.upgrade_websocket(target, "v5.channel.k8s.io");
  auto connection = world.net.websocket(upgraded, web_options("v5"));
  auto in = connection->take_channel(0), out = connection->take_channel(1),
       error = connection->take_channel(3);
  connection->start();
  co_await put(*in, text);
  co_await shut(*in);
  std::string got, status;
  co_await read_some_of(out, text.size(), got);
  co_await read_some_of(error, std::string_view(kExit7).size(), status);
  if (got == text && status == kExit7) ++good;
  co_await connection->close(std::chrono::seconds(1));
}

Task<> many(ExecWorld& world, int count, int& good) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  for (int i = 0; i < count; ++i) tasks.spawn("exec", one_of_many(world, i, good));
  while (tasks.size()) co_await sleep_for(std::chrono::milliseconds(5));
}

char byte_at(std::size_t at) { return static_cast<char>(at * 2654435761u >> 13); }

Task<> send_much(std::shared_ptr<MultiplexedStream> in, std::size_t size) {
  std::string piece;
  for (std::size_t at = 0; at < size;) {
    piece.clear();
    while (piece.size() < 50'000 && at < size) piece += byte_at(at++);
    Result<void> sent = co_await in->write(piece);
    if (!sent) co_return;
  }
  (void)co_await in->shutdown_write();
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * 4096;
}

Task<> much(ExecWorld& world, bool is_spdy) {
  constexpr std::size_t kSize = 64 << 20;
  std::shared_ptr<Multiplexer> connection;
  std::shared_ptr<MultiplexedStream> in, out;
  SpdyStreams streams;
  if (is_spdy) {
    streams = co_await open_spdy(world, "/exec?stdin=1&stdout=1", "v4.channel.k8s.io");
    connection = streams.connection;
    in = streams.in;
    out = streams.out;
  } else {
    Upgraded upgraded = co_await world.net.upgrade_websocket("/exec?stdin=1&stdout=1", "v5.channel.k8s.io");
    auto web = world.net.websocket(upgraded, web_options("v5"));
    in = web->take_channel(0);
    out = web->take_channel(1);
    web->start();
    connection = web;
  }
  TaskGroup tasks(co_await asio::this_coro::executor);
  const std::size_t before = resident_bytes();
  tasks.spawn("send", send_much(in, kSize));
  std::size_t at = 0, wrong = 0, most_memory = 0, most_unread = 0;
  while (at < kSize) {
    auto piece = co_await out->read_some();
    REQUIRE(piece);
    REQUIRE_FALSE(piece->empty());
    for (const char c : *piece) wrong += c != byte_at(at++);
    most_unread = std::max(most_unread, connection->unread_bytes());
    most_memory = std::max(most_memory, resident_bytes());
  }
  CHECK(wrong == 0);
  CHECK(at == kSize);
  CHECK(most_unread <= 320 * 1024);
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(most_memory < before + (8 << 20));
#else
  (void)before;
#endif
  co_await tasks.stop();
  co_await connection->close(std::chrono::seconds(2));
}

// A client that reads nothing holds the command back; one that then leaves without a word is noticed.
Task<> slow_and_gone(ExecWorld& world, bool is_spdy) {
  SpdyStreams streams;
  std::shared_ptr<WebSocketConnection> web;
  std::shared_ptr<MultiplexedStream> out;
  if (is_spdy) {
    streams = co_await open_spdy(world, "/exec?stdout=1&flood=1", "v4.channel.k8s.io");
  } else {
    Upgraded upgraded = co_await world.net.upgrade_websocket("/exec?stdout=1&flood=1", "v5.channel.k8s.io");
    web = world.net.websocket(upgraded, web_options("v5"));
    out = web->take_channel(1);
    web->start();
  }
  std::size_t before = 0;
  for (int calm = 0; calm < 30;) {
    co_await sleep_for(std::chrono::milliseconds(2));
    const std::size_t now = world.echo.echoed;
    calm = now == before && now > 0 ? calm + 1 : 0;
    before = now;
  }
  CHECK(before < 32u << 20);  // mostly the kernel's buffers
  // No goodbye: nothing of ours is sent in no time.
  if (is_spdy) {
    co_await streams.connection->close(std::chrono::milliseconds(0));
  } else {
    co_await web->close(std::chrono::milliseconds(0));
  }
}

}  // namespace

TEST_CASE("200 execs at once get their own output and exit codes") {
  int good = 0;
  in_world([&good](ExecWorld& world) { return many(world, 200, good); });
  CHECK(good == 200);
}
TEST_CASE("64 MB pass through an exec both ways in bounded memory") {
  const bool is_spdy = GENERATE(true, false);
  in_world([is_spdy](ExecWorld& world) { return much(world, is_spdy); });
}
TEST_CASE("a client that reads nothing holds the command back, and its abrupt end is noticed") {
  const bool is_spdy = GENERATE(true, false);
  in_world([is_spdy](ExecWorld& world) { return slow_and_gone(world, is_spdy); });
}

// Not run by default: for clients of Kubernetes' own libraries.
TEST_CASE("serve exec for other clients", "[.]") {
  ExecWorld world;
  const char* seconds = std::getenv("SECONDS_TO_SERVE");
  std::printf("http://127.0.0.1:%u/exec?stdin=1&stdout=1&stderr=1\n", world.net.port);
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::seconds(seconds ? std::atoi(seconds) : 30));
}
