// Exec's wire: what each protocol negotiates, and sessions of a client against the server's end over sockets.

#include "streams_echo.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

Task<> echo_over_spdy(ExecWorld& world, std::string protocol) {
  SpdyStreams streams = co_await open_spdy(world, "/exec?stdin=1&stdout=1&stderr=1", protocol);
  co_await put(*streams.in, "some input");
  co_await shut(*streams.in);
  auto out = co_await read_to_end(*streams.out);
  auto err = co_await read_to_end(*streams.err);
  REQUIRE(out);
  REQUIRE(err);
  CHECK(*out == "some input");
  CHECK(*err == "bye");
  auto status = co_await read_to_end(*streams.error);
  if (protocol == "channel.k8s.io") {
    CHECK_FALSE(status);  // v1 resets it at once
  } else {
    REQUIRE(status);
    CHECK(*status == (protocol == "v4.channel.k8s.io" ? kExit7 : kExit7Text));
  }
  co_await streams.connection->close(std::chrono::seconds(1));
}

Task<> resize_over_spdy(ExecWorld& world) {
  SpdyStreams streams = co_await open_spdy(world, "/exec?stdout=1&tty=1&well=1", "v4.channel.k8s.io");
  co_await put(*streams.resize, "{\"Width\":120,");
  co_await put(*streams.resize, "\"Height\":40}\n");
  auto out = co_await read_to_end(*streams.out);
  CHECK(*out == "120x40");
  auto status = co_await read_to_end(*streams.error);
  CHECK(*status == R"({"metadata":{},"status":"Success"})");
  co_await streams.connection->close(std::chrono::seconds(1));
}

Task<> refusals(ExecWorld& world) {
  Upgraded none = co_await world.net.upgrade_spdy("/exec?stdout=1", "");
  CHECK(none.status == 400);
  CHECK(none.body.find("unable to upgrade: header X-Stream-Protocol-Version does not exist in request") == 0);
  Upgraded unknown = co_await world.net.upgrade_spdy("/exec?stdout=1", "v9.channel.k8s.io");
  CHECK(unknown.status == 403);
  CHECK(unknown.headers.all("x-accepted-stream-protocol-versions").size() == 4);
  CHECK(
      unknown.body ==
      "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], server accepts "
      "[v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]\n");
  Headers plain;
  plain.add("X-Stream-Protocol-Version", "v4.channel.k8s.io");
  Upgraded not_asked = co_await world.net.upgrade("POST", "/exec?stdout=1", plain);
  CHECK(not_asked.status == 400);
  CHECK(not_asked.body == "unable to upgrade: missing upgrade headers in request\n");
  Upgraded web = co_await world.net.upgrade_websocket("/exec?stdout=1", "v9.channel.k8s.io");
  CHECK(web.status == 403);
  Headers no_key;
  no_key.add("Connection", "Upgrade");
  no_key.add("Upgrade", "websocket");
  Upgraded keyless = co_await world.net.upgrade("GET", "/exec?stdout=1", no_key);
  CHECK(keyless.status == 400);
  no_key.add("Sec-WebSocket-Key", "x");
  no_key.add("Sec-WebSocket-Version", "8");
  Upgraded old = co_await world.net.upgrade("GET", "/exec?stdout=1", no_key);
  CHECK(old.status == 400);
  CHECK(old.headers.get("sec-websocket-version") == "13");
}

Task<> late_streams(ExecWorld& world) {
  Upgraded upgraded = co_await world.net.upgrade_spdy("/exec?stdin=1&stdout=1&hasty=1", "v4.channel.k8s.io");
  auto connection = world.net.spdy(upgraded);
  auto error = co_await open_stream(connection, "error");
  co_await connection->wait_closed();  // the server gave up
  CHECK(world.echo.unopened == 1);
  co_await connection->close(std::chrono::seconds(1));
}

Task<> echo_over_websocket(ExecWorld& world, std::string protocol) {
  // Only v5 can end stdin.
  const bool is_v5 = protocol == "v5.channel.k8s.io";
  Upgraded upgraded = co_await world.net.upgrade_websocket(
      is_v5 ? "/exec?stdin=1&stdout=1&stderr=1" : "/exec?stderr=1", protocol);
  CHECK(upgraded.headers.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(upgraded.headers.get("sec-websocket-protocol").value_or("") == protocol);
  auto connection = world.net.websocket(upgraded, web_options(protocol));
  auto in = connection->take_channel(0), out = connection->take_channel(1), err = connection->take_channel(2),
       error = connection->take_channel(3);
  connection->start();
  std::string text;
  if (is_v5) {
    co_await put(*in, "some input");
    co_await shut(*in);
    co_await read_some_of(out, 10, text);
    CHECK(text == "some input");
  }
  std::string bye, status;
  co_await read_some_of(err, 3, bye);
  CHECK(bye == "bye");
  const std::string wanted = protocol.starts_with("v") ? kExit7 : kExit7Text;
  co_await read_some_of(error, wanted.size(), status);
  CHECK(status == wanted);
  co_await connection->wait_closed();
  CHECK(connection->why_closed().message == "connection lost: the peer has closed the WebSocket");
  co_await connection->close(std::chrono::seconds(1));
}

Task<> failure_over_websocket(ExecWorld& world) {
  Upgraded upgraded =
      co_await world.net.upgrade_websocket("/exec?stderr=1&fail=1", "v4.channel.k8s.io, v5.channel.k8s.io");
  CHECK(upgraded.headers.get("sec-websocket-protocol") == "v5.channel.k8s.io");
  auto connection = world.net.websocket(upgraded, web_options("v5"));
  auto error = connection->take_channel(3);
  connection->start();
  const std::string wanted =
      R"({"metadata":{},"status":"Failure","message":"Internal error occurred: it \"broke\"","reason":"InternalError","details":{"causes":[{"message":"it \"broke\""}]},"code":500})";
  std::string status;
  co_await read_some_of(error, wanted.size(), status);
  CHECK(status == wanted);
  co_await connection->close(std::chrono::seconds(1));
}

Task<> announcement(ExecWorld& world) {
  Upgraded upgraded = co_await world.net.upgrade_websocket("/exec?stdin=1&stdout=1", "v4.channel.k8s.io");
  REQUIRE(upgraded.stream);
  std::string first;
  while (first.size() < 3) {
    auto piece = co_await upgraded.stream->read_some();
    REQUIRE(piece);
    first += *piece;
  }
  CHECK(first == std::string("\x82\x01\x01", 3));  // an empty message on stdout
}

}  // namespace

TEST_CASE("exec over SPDY: streams, half-close and the exit code, in each version of the protocol") {
  const std::string protocol =
      GENERATE("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io");
  CAPTURE(protocol);
  in_world([protocol](ExecWorld& world) { return echo_over_spdy(world, protocol); });
}
TEST_CASE("exec over SPDY: the terminal's size arrives") { in_world(resize_over_spdy); }
TEST_CASE("requests for exec that cannot be served are refused in words that clients know") {
  in_world(refusals);
}
TEST_CASE("a client that does not open its streams in time is left") { in_world(late_streams); }
TEST_CASE("exec over WebSocket, in each version of the protocol") {
  const std::string protocol = GENERATE("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io",
                                        "base64.channel.k8s.io", "channel.k8s.io", "");
  CAPTURE(protocol);
  in_world([protocol](ExecWorld& world) { return echo_over_websocket(world, protocol); });
}
TEST_CASE("a failure is told as a Status, and v5 wins where a client offers more") {
  in_world(failure_over_websocket);
}
TEST_CASE("a WebSocket client hears at once that its connection stands") { in_world(announcement); }
TEST_CASE("terminal sizes are read out of what comes") {
  ResizeDecoder decoder;
  CHECK_FALSE(decoder.feed("{\"Width\":8"));
  CHECK(decoder.feed("0, \"height\" : 24 }\n") == TerminalSize{80, 24});
  CHECK(decoder.feed("{\"Width\":1,\"Height\":2}{\"Width\":3,\"Height\":4}{\"W") == TerminalSize{3, 4});
  CHECK_FALSE(decoder.feed("idth\":70000,\"Height\":2}"));
  CHECK_FALSE(decoder.feed("{\"Width\":1,\"Height\":2}"));  // broken from then on
  ResizeDecoder endless;
  CHECK_FALSE(endless.feed("{" + std::string(5000, ' ')));
  CHECK_FALSE(endless.feed("{\"Width\":1,\"Height\":2}"));
}

TEST_CASE("exit statuses are those that kubectl reads") {
  CHECK(RemoteStatus::exited(0, "x").json == R"({"metadata":{},"status":"Success"})");
  CHECK(RemoteStatus::exited(0, "x").text.empty());
  CHECK(RemoteStatus::failed("a\nb\"c").json.find(R"(a\u000ab\"c)") != std::string::npos);
}
