// The client against the server, in every version and over every kind of socket.

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

Task<> fetch_one(Client& client, std::string target, std::string body, int& good, int& left,
                 AsyncEvent& done) {
  ClientRequest request{"POST", std::move(target), {}, body};
  auto sent = co_await client.send(std::move(request));
  if (sent) {
    auto response = *std::move(sent);
    auto text = co_await response->read_all(1 << 20);
    if (text && response->head().status == 200 && *text == body) ++good;
  }
  --left;
  done.set();
}

Task<> fetch_many(Client& client, TaskGroup& group, int count, int& good) {
  AsyncEvent done(co_await asio::this_coro::executor);
  int left = count;
  for (int i = 0; i < count; ++i)
    group.spawn("request", fetch_one(client, "/echo-stream", std::string(100 + i, 'a'), good, left, done));
  while (left) co_await done.wait();
}

Task<> read_pieces(Client& client, std::size_t& total, int& pieces) {
  ClientRequest request;
  request.target = "/flood";
  auto sent = co_await client.send(std::move(request));
  if (!sent) co_return;
  auto response = *std::move(sent);
  for (;;) {
    auto piece = co_await response->read_some();
    if (!piece || piece->empty()) co_return;
    total += piece->size();
    ++pieces;
  }
}

}  // namespace

TEST_CASE("requests and responses pass in both versions over TLS, TCP and unix sockets") {
  Harness harness;
  const std::string kind = GENERATE("h2", "https1", "http", "unix");
  CAPTURE(kind);
  auto client = harness.client(kind);
  auto hello = harness.get(*client, "/hello");
  CAPTURE(hello.error.message);
  REQUIRE(hello.is_ok);
  CHECK(hello.status == 200);
  CHECK(hello.body == "hello");
  CHECK(hello.headers.get("content-length") == "5");
  CHECK(hello.headers.get("date"));
  const auto who = harness.get(*client, "/who").body;
  CHECK(who.starts_with(kind == "h2"       ? "HTTP/2.0 0 tls loopback 127.0.0.1:"
                        : kind == "https1" ? "HTTP/1.1 0 tls loopback 127.0.0.1:"
                        : kind == "http"   ? "HTTP/1.1 0 plain loopback 127.0.0.1:"
                                           : "HTTP/1.1 0 plain loopback unix"));
  auto missing = harness.get(*client, "/missing");
  CHECK(missing.status == 404);
  auto empty = harness.get(*client, "/empty");
  CHECK(empty.is_ok);
  CHECK(empty.status == 204);
  CHECK(empty.body.empty());
  CHECK_FALSE(empty.headers.get("content-length"));
  auto head = harness.fetch(*client, {"HEAD", "/hello", {}, {}});
  CHECK(head.is_ok);
  CHECK(head.body.empty());
  CHECK(head.headers.get("content-length") == "5");
  CHECK(harness.post(*client, "/echo", "some text").body == "some text");
  CHECK(harness.post(*client, "/echo-stream", "some text").body == "some text");
  CHECK(harness.post(*client, "/echo", "").is_ok);
  // All of them over one connection.
  CHECK(harness.server->open_connections() == 1);
}

TEST_CASE("a body of 20 MB arrives whole in both directions") {
  Harness harness;
  const std::string kind = GENERATE("h2", "https1", "http", "unix");
  CAPTURE(kind);
  const std::string body = pattern(20 << 20);
  auto client = harness.client(kind);
  auto whole = harness.post(*client, "/echo", body);
  CHECK(whole.is_ok);
  CHECK((whole.body == body));
  auto streamed = harness.post(*client, "/echo-stream", body);
  CHECK(streamed.is_ok);
  CHECK((streamed.body == body));
}

TEST_CASE("a hundred streams run at once over one connection") {
  Harness harness;
  auto client = harness.client("h2");
  REQUIRE(harness.get(*client, "/hello").is_ok);
  TaskGroup group(harness.thread.executor());
  int good = 0;
  harness.run(fetch_many(*client, group, 100, good));
  CHECK(good == 100);
  CHECK(harness.server->open_connections() == 1);
}

TEST_CASE("more requests than streams open another connection") {
  ServerLimits limits;
  limits.concurrent_streams = 4;
  Harness harness(limits);
  auto client = harness.client("h2");
  TaskGroup group(harness.thread.executor());
  int good = 0;
  harness.run(fetch_many(*client, group, 64, good));
  CHECK(good == 64);
}

TEST_CASE("many requests at once over HTTP/1.1 share a bounded pool") {
  Harness harness;
  const std::string kind = GENERATE("https1", "unix");
  ClientOptions options;
  options.max_idle_connections = 3;
  auto client = harness.client(kind, options);
  TaskGroup group(harness.thread.executor());
  int good = 0;
  harness.run(fetch_many(*client, group, 40, good));
  CHECK(good == 40);
  // As many connections rest as are allowed, or fewer when the server was fast enough.
  CHECK(eventually([&] { return harness.server->open_connections() <= 3; }));
  CHECK(harness.server->open_connections() >= 1);
}

TEST_CASE("a streamed response comes in pieces and whole") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1", "unix"));
  std::size_t total = 0;
  int pieces = 0;
  harness.run(read_pieces(*client, total, pieces));
  CHECK(total == 4096u * 32 * 1024);
  CHECK(pieces > 10);
}

TEST_CASE("headers reach the handler in lower case and without the connection's own") {
  Harness harness;
  auto client = harness.client("h2");
  ClientRequest request;
  request.target = "/head?limit=5%20";
  request.headers.add("X-Thing", "Value");
  request.headers.add("Connection", "keep-alive");
  const auto reply = harness.fetch(*client, std::move(request));
  CHECK(reply.body.starts_with("GET /head?limit=5%20 127.0.0.1:"));
  CHECK(reply.body.find("\nx-thing=Value") != std::string::npos);
  CHECK(reply.body.find("connection") == std::string::npos);
}

TEST_CASE("a handler that throws or says nothing answers 500 and the connection lives on") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1"));
  auto thrown = harness.get(*client, "/throw");
  CHECK(thrown.status == 500);
  CHECK(thrown.body == "internal error\n");
  CHECK(harness.get(*client, "/silent").status == 500);
  CHECK(harness.get(*client, "/hello").status == 200);
  CHECK(harness.server->open_connections() == 1);
}

TEST_CASE("a body beyond the handler's limit is 413") {
  Harness harness;
  auto client = harness.client(GENERATE("h2", "https1"));
  auto reply = harness.post(*client, "/small-body", "more than ten bytes");
  CHECK(reply.status == 413);
  CHECK(reply.body == "Request entity too large: limit is 10");
  // Far more than what is read ahead.
  auto large = harness.post(*client, "/small-body", std::string(5 << 20, 'x'));
  CHECK(large.status == 413);
  CHECK(harness.get(*client, "/hello").status == 200);
}

TEST_CASE("a unix socket has mode 0600 and replaces the file of a dead server") {
  Harness harness;
  struct stat status {};
  REQUIRE(::stat(harness.unix_path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  Server::Options options;
  options.executors = {harness.thread.executor()};
  options.handler = [](std::shared_ptr<Exchange>) -> Task<> { co_return; };
  {
    Server other(options);
    CHECK(other.listen_unix(harness.unix_path));
    CHECK_FALSE(other.listen_unix("/proc/version"));
  }
}

TEST_CASE("failures to connect are told apart") {
  Harness harness;
  ClientOptions options;
  auto refused = Client::create(harness.thread.executor(), {"http://127.0.0.1:1", {}}, options).value();
  CHECK(harness.get(*refused, "/").error.reason == "ConnectionRefused");
  auto missing =
      Client::create(harness.thread.executor(), {"unix:///nonexistent/socket", {}}, options).value();
  CHECK(harness.get(*missing, "/").error.reason == "ConnectionFailed");
  auto untrusted = harness.client("h2", {}, nullptr, false);
  const auto reply = harness.get(*untrusted, "/hello");
  CHECK(reply.error.reason == "ConnectionFailed");
  CHECK(reply.error.message.find("certificate") != std::string::npos);
  Endpoint wrong_name{"https://127.0.0.1:" + std::to_string(harness.tls_port), {}};
  wrong_name.tls.ca_pem = harness.authority.pem();
  wrong_name.tls.server_name = "other.example";
  auto misnamed = Client::create(harness.thread.executor(), wrong_name, options).value();
  CHECK(harness.get(*misnamed, "/hello").error.message.find("hostname mismatch") != std::string::npos);
  wrong_name.tls.server_name = "localhost";
  auto named = Client::create(harness.thread.executor(), wrong_name, options).value();
  CHECK(harness.get(*named, "/hello").is_ok);
}

TEST_CASE("a response that does not come in time fails the request alone") {
  Harness harness;
  ClientOptions options;
  options.header_timeout = std::chrono::milliseconds(50);
  auto client = harness.client(GENERATE("h2", "https1"), options);
  CHECK(harness.get(*client, "/slow").error.reason == "Timeout");
  CHECK(harness.get(*client, "/hello").is_ok);
}

TEST_CASE("bad client settings are an error at once") {
  EventThread thread("test");
  CHECK_FALSE(Client::create(thread.executor(), {"gopher://x", {}}));
  Endpoint endpoint{"https://127.0.0.1:1", {}};
  endpoint.tls.ca_pem = "not a certificate";
  CHECK_FALSE(Client::create(thread.executor(), endpoint));
}
