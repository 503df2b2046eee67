// WebSocket: frames as bytes, the handshake, and channels over a pipe.

#include "http/streams/websocket_handshake.h"
#include "streams_harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

struct Log final : WebSocketCodec::Events {
  std::string text;
  void on_message_begin(bool is_text) override { text += is_text ? "text '" : "binary '"; }
  void on_message_bytes(std::string_view bytes) override { text.append(bytes); }
  void on_message_end() override { text += "'\n"; }
  void on_pong() override { text += "pong\n"; }
  void on_close(std::uint16_t code) override { text += "close " + std::to_string(code) + "\n"; }
};

// A frame of a client, masked with zeros.
std::string frame(unsigned char first, std::string_view payload, bool is_masked = true) {
  std::string out(1, static_cast<char>(first));
  out += static_cast<char>((is_masked ? 0x80 : 0) | payload.size());
  if (is_masked) out.append(4, '\0');
  return out.append(payload);
}

}  // namespace

TEST_CASE("the WebSocket key's answer is the RFC's") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(websocket_key().size() == 24);
  CHECK(websocket_key() != websocket_key());
}

TEST_CASE("WebSocket messages come whole out of fragments, with control frames between them") {
  const std::string wire = frame(0x02, "ab") + frame(0x89, "hi") + frame(0x00, "cd") + frame(0x80, "ef") +
                           frame(0x81, "text") + frame(0x82, "") + frame(0x8a, "");
  const std::size_t step = GENERATE(1, 3, 1000);
  std::string out;
  WebSocketCodec codec(WebSocketCodec::Role::server, out);
  Log log;
  for (std::size_t at = 0; at < wire.size(); at += step)
    REQUIRE(codec.feed(std::string_view(wire).substr(at, step), log));
  CHECK(log.text == "binary 'abcdef'\ntext 'text'\nbinary ''\npong\n");
  CHECK(out == frame(0x8a, "hi", false));  // the ping's answer
}

TEST_CASE("a WebSocket close is answered, and nothing is heard or said after it") {
  std::string out;
  WebSocketCodec codec(WebSocketCodec::Role::server, out);
  Log log;
  REQUIRE(codec.feed(frame(0x88, "\x03\xe8") + frame(0x82, "late"), log));
  CHECK(log.text == "close 1000\n");
  CHECK(out == frame(0x88, "\x03\xe8", false));
  codec.message(false, "a", "b");
  CHECK(out == frame(0x88, "\x03\xe8", false));
}

TEST_CASE("WebSocket peers that break the rules are told and left") {
  const auto broken = [](const std::string& wire) {
    std::string out;
    WebSocketCodec codec(WebSocketCodec::Role::server, out);
    Log log;
    const bool failed = !codec.feed(wire, log);
    CHECK(out.substr(0, 1) == "\x88");
    return failed;
  };
  CHECK(broken(frame(0x82, "unmasked", false)));
  CHECK(broken(frame(0xc2, "reserved bit")));
  CHECK(broken(frame(0x80, "a continuation of nothing")));
  CHECK(broken(frame(0x83, "unknown opcode")));
  CHECK(broken(frame(0x81, "\xff\xfe")));  // text that is not UTF-8
  CHECK(broken(frame(0x09, "a fragmented ping")));
}

TEST_CASE("WebSocket messages of every size and either role arrive") {
  const std::size_t size = GENERATE(0, 1, 125, 126, 65535, 65536, 300'000);
  const std::string body = pattern(size);
  for (const bool is_client : {false, true}) {
    std::string wire, other;
    WebSocketCodec writer(is_client ? WebSocketCodec::Role::client : WebSocketCodec::Role::server, wire);
    WebSocketCodec reader(is_client ? WebSocketCodec::Role::server : WebSocketCodec::Role::client, other);
    writer.message(false, "P", body);
    writer.message(false, "", body);
    Log log;
    REQUIRE(reader.feed(wire, log));
    CHECK((log.text == "binary 'P" + body + "'\nbinary '" + body + "'\n"));
  }
}

TEST_CASE("the first WebSocket protocol that the server knows is chosen") {
  using Names = std::vector<std::string>;
  CHECK(choose_websocket_protocol({}, {"", "a"}) == "");
  CHECK_FALSE(choose_websocket_protocol({}, {"a"}));
  CHECK(choose_websocket_protocol(Names{"x", "b", "a"}, {"a", "b"}) == "b");
  CHECK_FALSE(choose_websocket_protocol(Names{"x"}, {"", "a"}));
}

// --- channels over a pipe

namespace {

struct World {
  World(asio::any_io_executor executor, WebSocketConnection::Options options) : pipe(make_pipe(executor)) {
    server = WebSocketConnection::create(executor, std::move(pipe.server), options);
    options.role = WebSocketCodec::Role::client;
    client = WebSocketConnection::create(executor, std::move(pipe.client), options);
    server->start();
    client->start();
  }
  PipePair pipe;
  std::shared_ptr<WebSocketConnection> server, client;
};

using Test = std::function<Task<>(World&)>;
Task<> in_world(asio::any_io_executor executor, WebSocketConnection::Options options, Test test) {
  World world(executor, options);
  co_await test(world);
  co_await world.client->close(std::chrono::milliseconds(30));
  co_await world.server->close(std::chrono::seconds(1));
}
void with_pipe(Test test, WebSocketConnection::Options options) {
  EventThread thread("websocket-test");
  run_blocking(thread.executor(), in_world(thread.executor(), options, std::move(test)));
}

Task<> send_all(std::shared_ptr<MultiplexedStream> stream, std::string bytes) {
  // In odd pieces, so that base64's quanta are cut.
  for (std::size_t at = 0, step = 1; at < bytes.size(); at += step, step = step * 3 % 50'021) {
    Result<void> sent = co_await stream->write(std::string_view(bytes).substr(at, step));
    REQUIRE(sent);
  }
}

Task<> read_exactly(std::shared_ptr<MultiplexedStream> stream, std::size_t size, std::string& into) {
  while (into.size() < size) {
    auto piece = co_await stream->read_some();
    REQUIRE(piece);
    if (piece->empty()) co_return;
    into += *piece;
  }
}

Task<> channels(World& world) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  const std::string body = pattern(1'000'000), other = pattern(70'000);
  auto in = world.client->take_channel(0), in_there = world.server->take_channel(0);
  auto out = world.server->take_channel(1), out_there = world.client->take_channel(1);
  tasks.spawn("send", send_all(in, body));
  tasks.spawn("send", send_all(out, other));
  std::string got, got_other;
  co_await read_exactly(in_there, body.size(), got);
  co_await read_exactly(out_there, other.size(), got_other);
  CHECK((got == body));
  CHECK((got_other == other));
  co_await tasks.stop();
}

Task<> close_signal(World& world) {
  auto in = world.client->take_channel(0), in_there = world.server->take_channel(0);
  co_await put(*in, "to the end");
  co_await shut(*in);
  auto all = co_await read_to_end(*in_there);
  CHECK(*all == "to the end");
  // The other channels live on.
  auto out = world.server->take_channel(1), out_there = world.client->take_channel(1);
  co_await put(*out, "still here");
  auto got = co_await out_there->read_some();
  CHECK(*got == "still here");
}

Task<> no_close_signal(World& world) {
  auto in = world.client->take_channel(0), in_there = world.server->take_channel(0);
  co_await put(*in, "a");
  auto got = co_await in_there->read_some();
  CHECK(*got == "a");
  co_await world.client->close(std::chrono::milliseconds(30));
  auto lost = co_await in_there->read_some();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().reason == "ConnectionLost");
}

Task<> tunnel(World& world) {
  auto ours = world.client->take_channel(0), theirs = world.server->take_channel(0);
  TaskGroup tasks(co_await asio::this_coro::executor);
  const std::string body = pattern(500'000);
  tasks.spawn("send", send_all(ours, body));
  std::string got;
  co_await read_exactly(theirs, body.size(), got);
  CHECK((got == body));
  co_await tasks.stop();
  co_await shut(*ours);
  auto end = co_await theirs->read_some();
  REQUIRE(end);
  CHECK(end->empty());
}

WebSocketConnection::Options form(WebSocketConnection::Form form, std::size_t count = 5) {
  WebSocketConnection::Options options;
  options.form = form;
  options.channels = count;
  return options;
}

}  // namespace

TEST_CASE("WebSocket channels carry bytes both ways") {
  with_pipe(channels, form(GENERATE(WebSocketConnection::Form::binary, WebSocketConnection::Form::base64)));
}
TEST_CASE("v5's close signal ends one WebSocket channel") {
  auto options = form(WebSocketConnection::Form::binary);
  options.has_close_signal = true;
  with_pipe(close_signal, options);
}
TEST_CASE("without the signal a WebSocket channel ends with its connection") {
  with_pipe(no_close_signal, form(WebSocketConnection::Form::binary));
}
TEST_CASE("a WebSocket tunnel is one stream") {
  with_pipe(tunnel, form(WebSocketConnection::Form::tunnel, 1));
}
