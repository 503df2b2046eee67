// What the server does with clients that misbehave, leave, or are slow.

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "harness.h"
#include "http/listen.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;
using std::chrono::milliseconds;

namespace {

Task<> watch_once(Client& client, std::string target, std::string& first) {
  ClientRequest request;
  request.target = std::move(target);
  auto sent = co_await client.send(std::move(request));
  if (!sent) co_return;
  auto response = *std::move(sent);
  auto piece = co_await response->read_some();
  if (piece) first = *piece;
  // The response goes away here: RST_STREAM, or the connection closes.
}

Task<> hold_unread(Client& client, std::string target, std::unique_ptr<ClientResponse>& held) {
  ClientRequest request;
  request.target = std::move(target);
  auto sent = co_await client.send(std::move(request));
  if (sent) held = *std::move(sent);
}

Task<> drop(std::unique_ptr<ClientResponse>& held) {
  held.reset();
  co_return;
}

Task<> use_upgraded(Client& client, std::string body, std::string& echoed, std::string& problem) {
  ClientRequest request{"POST", "/upgrade", {}, {}};
  request.headers.add("Connection", "Upgrade");
  request.headers.add("Upgrade", "echo");
  auto sent = co_await client.send(std::move(request));
  if (!sent) {
    problem = sent.error().message;
    co_return;
  }
  auto response = *std::move(sent);
  auto taken = response->take_stream();
  if (!taken) {
    problem = taken.error().message;
    co_return;
  }
  auto stream = *std::move(taken);
  response.reset();
  const std::string hello = "over to you ";
  auto greeted = co_await stream->write(hello);
  auto answer = co_await stream->read_some();
  if (!greeted || !answer || *answer != hello) {
    problem = "no echo";
    co_return;
  }
  auto written = co_await stream->write(body);
  auto ended = co_await stream->shutdown_write();
  if (!written || !ended) problem = "cannot write";
  for (;;) {
    auto piece = co_await stream->read_some();
    if (!piece) problem = piece.error().message;
    if (!piece || piece->empty()) co_return;
    echoed += *piece;
  }
}

}  // namespace

TEST_CASE("an upgraded connection echoes both ways and outlives one half") {
  Harness harness;
  const std::string kind =
      GENERATE("https1", "h2", "http", "unix");  // h2: the client turns to HTTP/1.1 by itself
  CAPTURE(kind);
  auto client = harness.client(kind);
  std::string echoed, problem;
  const std::string body = pattern(200'000);
  harness.run(use_upgraded(*client, body, echoed, problem));
  CHECK(problem == "");
  CHECK((echoed == body + "the end"));
  CHECK(eventually([&] { return harness.server->open_connections() == 0; }));
}

TEST_CASE("an upgrade over HTTP/2 is an error for the handler") {
  Harness harness;
  auto client = harness.client("h2");
  CHECK(harness.get(*client, "/upgrade").status == 400);
}

TEST_CASE("a client that lets go of a streamed response cancels the handler") {
  Harness harness;
  const std::string kind = GENERATE("h2", "https1", "http", "unix");
  CAPTURE(kind);
  auto client = harness.client(kind);
  std::string first;
  harness.run(watch_once(*client, "/watch", first));
  CHECK(first == "first event\n");
  CHECK(eventually([&] { return harness.cancelled == 1; }));
  CHECK(harness.get(*client, "/hello").is_ok);
  if (kind == "h2") CHECK(harness.server->open_connections() == 1);  // only the stream was reset
}

TEST_CASE("closing the client ends its requests and cancels their handlers") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1"));
  std::unique_ptr<ClientResponse> held;
  harness.run(hold_unread(*client, "/watch", held));
  REQUIRE(held);
  client.reset();
  CHECK(eventually([&] { return harness.cancelled == 1 && harness.server->open_connections() == 0; }));
  harness.run(drop(held));
}

TEST_CASE("a writer waits for a client that does not read, with little in between") {
  Harness harness;
  auto client = harness.client("h2");
  std::unique_ptr<ClientResponse> held;
  harness.run(hold_unread(*client, "/flood", held));
  REQUIRE(held);
  // The client's window (4 MiB) and the server's share fill up, and no more.
  CHECK(eventually([&] { return harness.written > (3u << 20); }));
  std::this_thread::sleep_for(milliseconds(100));  // for a wrong server to go on
  const std::size_t stuck = harness.written;
  CHECK(stuck < (6u << 20));
  // Others on the same connection are not held up.
  CHECK(harness.get(*client, "/hello").is_ok);
  harness.run(drop(held));
  CHECK(eventually([&] { return harness.cancelled == 1; }));
}

TEST_CASE("a peer that takes nothing for the write timeout is dropped") {
  ServerLimits limits;
  limits.write_timeout = milliseconds(200);
  Harness harness(limits);
  SECTION("HTTP/1.1") {
    RawSocket socket(harness.plain_port);
    REQUIRE(socket.send("GET /flood HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(eventually([&] { return harness.cancelled == 1 && harness.server->open_connections() == 0; }));
  }
  SECTION("a stream of HTTP/2") {
    auto client = harness.client("h2");
    std::unique_ptr<ClientResponse> held;
    harness.run(hold_unread(*client, "/flood", held));
    CHECK(eventually([&] { return harness.cancelled == 1; }));
    CHECK(harness.get(*client, "/hello").is_ok);
    harness.run(drop(held));
  }
}

TEST_CASE("pipelined requests are answered in order and garbage behind them with 400") {
  Harness harness;
  RawSocket socket(harness.plain_port);
  REQUIRE(socket.send(
      "GET /hello HTTP/1.1\r\nhost: x\r\n\r\nPOST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
      "abc\x01\x02garbage\r\n\r\n"));
  const std::string all = socket.read_to_end();
  const auto hello = all.find("hello"), echo = all.find("abc"), bad = all.find("HTTP/1.1 400 ");
  CHECK(hello != std::string::npos);
  CHECK(echo != std::string::npos);
  CHECK(bad != std::string::npos);
  CHECK(hello < echo);
  CHECK(echo < bad);
}

TEST_CASE("requests that break the rules of HTTP/1.1 are refused") {
  Harness harness;
  const std::string bad =
      GENERATE("GET /hello HTTP/1.1\r\n\r\n", "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
               "GET hello HTTP/1.1\r\nhost: a\r\n\r\n", "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
               "GET /hello HTTP/1.1\r\nhost : a\r\n\r\n",
               "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n");
  CAPTURE(bad);
  RawSocket socket(harness.plain_port);
  REQUIRE(socket.send(bad));
  CHECK(socket.read_to_end().starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(harness.handled == 0);
}

TEST_CASE("headers beyond the limit are 431") {
  ServerLimits limits;
  limits.header_bytes = 16 * 1024;
  Harness harness(limits);
  const std::string kind = GENERATE("h2", "https1", "http");
  CAPTURE(kind);
  auto client = harness.client(kind);
  ClientRequest request;
  for (int i = 0; i < 30; ++i) request.headers.add("x-" + std::to_string(i), std::string(1000, 'v'));
  auto reply = harness.fetch(*client, std::move(request));
  CAPTURE(reply.error.message);
  CHECK(reply.status == 431);
  CHECK(harness.handled == 0);
  CHECK(harness.get(*client, "/hello").status == 200);
}

TEST_CASE("a truncated body is an error for the handler") {
  Harness harness;
  RawSocket socket(harness.plain_port);
  REQUIRE(socket.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this"));
  REQUIRE(eventually([&] { return harness.handled == 1; }));
  ::shutdown(socket.fd(), SHUT_WR);
  CHECK(eventually([&] { return harness.body_errors >= 1; }));
  CHECK(eventually([&] { return harness.server->open_connections() == 0; }));
}

TEST_CASE("a client that is slow with its head, or says nothing, is dropped") {
  ServerLimits limits;
  limits.header_timeout = limits.handshake_timeout = milliseconds(150);
  Harness harness(limits);
  const std::string kind =
      GENERATE("silent", "half a head", "half a preface", "preface only", "half a handshake");
  CAPTURE(kind);
  RawSocket socket(kind == "half a handshake" ? harness.tls_port : harness.plain_port);
  if (kind == "half a head") REQUIRE(socket.send("GET /hello HTT"));
  if (kind == "half a preface") REQUIRE(socket.send("PRI * HTTP/2.0\r\n\r"));
  if (kind == "preface only") REQUIRE(socket.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  if (kind == "half a handshake") REQUIRE(socket.send("\x16\x03\x01"));
  REQUIRE(eventually([&] { return harness.server->open_connections() == 1; }));
  CHECK(socket.is_at_end());
  CHECK(eventually([&] { return harness.server->open_connections() == 0; }));
}

TEST_CASE("a connection without requests ends after the idle timeout") {
  ServerLimits limits;
  limits.idle_timeout = milliseconds(150);
  Harness harness(limits);
  auto client = harness.client(GENERATE("h2", "https1"));
  CHECK(harness.get(*client, "/hello").is_ok);
  CHECK(harness.server->open_connections() == 1);
  CHECK(eventually([&] { return harness.server->open_connections() == 0; }));
  // The client notices and connects again, also for a request that may not be repeated.
  CHECK(harness.post(*client, "/echo", "x").is_ok);
}

TEST_CASE("an idle watch outlives the idle timeout") {
  ServerLimits limits;
  limits.idle_timeout = limits.header_timeout = limits.write_timeout = milliseconds(100);
  Harness harness(limits);
  auto client = harness.client(GENERATE("h2", "https1"));
  std::unique_ptr<ClientResponse> held;
  harness.run(hold_unread(*client, "/trickle", held));
  REQUIRE(held);
  std::this_thread::sleep_for(milliseconds(300));
  harness.release();
  struct Reader {
    static Task<> read(ClientResponse& response, std::string& text) {
      auto body = co_await response.read_all(100);
      if (body) text = *body;
    }
  };
  std::string text;
  harness.run(Reader::read(*held, text));
  CHECK(text == "late");
  harness.run(drop(held));
}

TEST_CASE("the end of an idle HTTP/1.1 client cancels the handler of a streamed response") {
  Harness harness;
  {
    RawSocket socket(harness.plain_port);
    REQUIRE(socket.send("GET /watch HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(socket.read_until("first event").find("transfer-encoding: chunked") != std::string::npos);
    CHECK(harness.cancelled == 0);
  }
  CHECK(eventually([&] { return harness.cancelled == 1 && harness.server->open_connections() == 0; }));
}

TEST_CASE("connections beyond the limit wait until one ends") {
  ServerLimits limits;
  limits.connections = 2;
  Harness harness(limits);
  auto first = std::make_unique<RawSocket>(harness.plain_port);
  RawSocket second(harness.plain_port);
  REQUIRE(eventually([&] { return harness.server->open_connections() == 2; }));
  RawSocket third(harness.plain_port);
  REQUIRE(third.send("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
  std::this_thread::sleep_for(milliseconds(50));
  CHECK(harness.handled == 0);
  first.reset();
  CHECK(third.read_to_end().find("hello") != std::string::npos);
}

TEST_CASE("Expect: 100-continue is answered when the handler wants the body") {
  Harness harness;
  RawSocket socket(harness.plain_port);
  REQUIRE(socket.send("POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"));
  CHECK(socket.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  REQUIRE(socket.send("abc"));
  CHECK(socket.read_until("abc").starts_with("HTTP/1.1 200 OK\r\n"));
  // Refused without reading: the connection ends, since the client may or may not send.
  RawSocket other(harness.plain_port);
  REQUIRE(other.send("POST /hello HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"));
  CHECK(other.read_to_end().find("connection: close") != std::string::npos);
}

TEST_CASE("HTTP/1.0 gets an unchunked response that ends with the connection") {
  Harness harness;
  RawSocket socket(harness.plain_port);
  REQUIRE(socket.send("POST /echo-stream HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc"));
  const std::string all = socket.read_to_end();
  CHECK(all.ends_with("\r\n\r\nabc"));
  CHECK(all.find("chunked") == std::string::npos);
}

TEST_CASE("a socket that is adopted while the server runs serves, too") {
  Harness harness;
  for (int i = 0; i < 20; ++i) {
    auto socket = listen_tcp("127.0.0.1", 0);
    REQUIRE(socket);
    const auto port = local_port(socket->get());
    REQUIRE(port);
    REQUIRE(harness.server->adopt_listener(socket->release(), std::nullopt));
    RawSocket client(*port);
    REQUIRE(client.send("GET /hello HTTP/1.0\r\n\r\n"));
    CHECK(client.read_to_end().starts_with("HTTP/1.1 200 OK\r\n"));
  }
  CHECK_FALSE(harness.server->adopt_listener(-1, std::nullopt));
}
