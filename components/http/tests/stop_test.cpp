// The graceful end.

#include <catch2/catch.hpp>
#include <thread>

#include "harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;
using std::chrono::milliseconds;

namespace {

struct Tally {
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};
  std::atomic<int> lost{0};
};

Task<> hammer(Client& client, Tally& tally) {
  for (int i = 0; i < 200'000; ++i) {
    ClientRequest request{"POST", "/echo", {}, "x"};
    auto sent = co_await client.send(std::move(request));
    if (!sent) {
      // Nothing was sent: the door was closed.
      if (sent.error().reason == "ConnectionRefused" || sent.error().reason == "ConnectionFailed")
        ++tally.refused;
      else
        ++tally.lost;
      co_return;
    }
    auto response = *std::move(sent);
    auto body = co_await response->read_all(100);
    if (body && *body == "x")
      ++tally.answered;
    else
      ++tally.lost;
  }
}

}  // namespace

TEST_CASE("a graceful stop lets a running response finish and refuses new connections") {
  Harness harness;
  const std::string kind = GENERATE("h2", "https1", "http", "unix");
  CAPTURE(kind);
  auto client = harness.client(kind);
  auto reply = std::async(std::launch::async, [&] { return harness.get(*client, "/slow"); });
  REQUIRE(eventually([&] { return harness.waiting == 1; }));
  auto stopped = harness.stop_later(std::chrono::seconds(10));
  auto late = harness.client(kind);
  CHECK(eventually([&] {
    const auto refused = harness.get(*late, "/hello").error.reason;
    return refused == "ConnectionRefused" || refused == "ConnectionFailed";
  }));
  CHECK(stopped.wait_for(milliseconds(50)) == std::future_status::timeout);
  harness.release();
  const auto answered = reply.get();
  CHECK(answered.is_ok);
  CHECK(answered.body == "slow but here");
  CHECK(stopped.wait_for(kDeadline) == std::future_status::ready);
  CHECK(harness.server->open_connections() == 0);
}

TEST_CASE("what still runs after the grace is cut off") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1"));
  auto reply = std::async(std::launch::async, [&] { return harness.get(*client, "/watch"); });
  REQUIRE(eventually([&] { return harness.watching == 1; }));
  auto stopped = harness.stop_later(milliseconds(50));
  CHECK(stopped.wait_for(kDeadline) == std::future_status::ready);
  CHECK(harness.cancelled == 1);
  CHECK_FALSE(reply.get().is_ok);
}

TEST_CASE("a request that is on its way over an idle connection when the server stops is answered") {
  Harness harness;
  RawSocket socket(harness.plain_port);
  socket.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(socket.read_until("hello").find("close") == std::string::npos);
  auto stopped = harness.stop_later(std::chrono::seconds(20));
  // So far is a client of this host that asks as soon as it has its answer.
  std::this_thread::sleep_for(milliseconds(20));
  socket.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string last = socket.read_until("hello");
  CHECK(last.find("HTTP/1.1 200") != std::string::npos);
  CHECK(last.find("close") != std::string::npos);
  CHECK(socket.is_at_end());
  CHECK(stopped.wait_for(kDeadline) == std::future_status::ready);
}

TEST_CASE("idle connections end soon when the server stops") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1", "unix"));
  REQUIRE(harness.get(*client, "/hello").is_ok);
  const auto begun = std::chrono::steady_clock::now();
  auto stopped = harness.stop_later(std::chrono::seconds(60));
  CHECK(stopped.wait_for(kDeadline) == std::future_status::ready);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(5));
}

TEST_CASE("no request that the server took is lost when it stops under load") {
  Harness harness;
  const std::string kind = GENERATE("h2", "https1", "http");
  CAPTURE(kind);
  auto client = harness.client(kind);
  Tally tally;
  std::vector<std::future<void>> workers;
  for (int i = 0; i < 8; ++i)
    workers.push_back(std::async(std::launch::async, [&] { harness.run(hammer(*client, tally)); }));
  REQUIRE(eventually([&] { return tally.answered > 300; }));
  auto stopped = harness.stop_later(std::chrono::seconds(20));
  CHECK(stopped.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  for (auto& worker : workers) worker.get();
  CHECK(tally.answered == harness.handled);
  CHECK(tally.refused + tally.lost == 8);
}
