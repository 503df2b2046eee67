// SPDY: frames as bytes, and connections over a pipe.

#include <zlib.h>

#include "streams_harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

// What arrived, as a text a test can compare.
struct Log final : SpdyCodec::Events {
  std::string text;
  void on_syn_stream(std::uint32_t id, Headers headers, bool is_end) override {
    text += "syn " + std::to_string(id) + (is_end ? " end" : "");
    for (const auto& [name, value] : headers.fields()) text += " " + name + "=" + value;
    text += "\n";
  }
  void on_syn_reply(std::uint32_t id, bool is_end) override { note("reply", id, is_end); }
  void on_headers(std::uint32_t id, bool is_end) override { note("headers", id, is_end); }
  void on_rst_stream(std::uint32_t id) override { note("rst", id, false); }
  void on_ping(std::uint32_t id) override { note("ping", id, false); }
  void on_goaway() override { text += "goaway\n"; }
  void on_data(std::uint32_t id, std::string_view bytes, bool is_end) override {
    text += "data " + std::to_string(id) + " '" + std::string(bytes) + "'" + (is_end ? " end" : "") + "\n";
  }
  void note(std::string what, std::uint32_t id, bool is_end) {
    text += what + " " + std::to_string(id) + (is_end ? " end" : "") + "\n";
  }
};

// Frames that github.com/moby/spdystream wrote, in the order of one connection.
const char* kMoby[] = {
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff",
    "80030001000000220000000300000000000002651c0c295029930829b08bc079c3c2c0c200000000ffff",
    "000000030000000568656c6c6f",
    "0000000301000000",
    "800300060000000400000001",
    "80030003000000080000000300000005",
    "800300020000000e000000016260606000000000ffff",
    "80030007000000080000000000000000",
};
const char* kMobySays =
    "syn 1 streamtype=error\nsyn 3 streamtype=data port=8080\ndata 3 'hello'\ndata 3 '' end\nping 1\nrst 3\n"
    "reply 1\ngoaway\n";

}  // namespace

TEST_CASE("the SPDY dictionary is the one that both ends know") {
  const auto dictionary = spdy_dictionary();
  CHECK(dictionary.size() == 1423);
  CHECK(::adler32(1, reinterpret_cast<const Bytef*>(dictionary.data()), 1423) == 0xe3c6a7c2);
}

TEST_CASE("frames of the library that kubectl uses are read, whole and byte by byte") {
  std::string all;
  for (const char* frame : kMoby) all += from_hex(frame);
  const std::size_t step = GENERATE(1, 2, 7, 4096);
  SpdyCodec codec;
  Log log;
  for (std::size_t at = 0; at < all.size(); at += step)
    REQUIRE(codec.feed(std::string_view(all).substr(at, step), log));
  if (step == 4096) {
    CHECK(log.text == kMobySays);
  } else {
    CHECK(log.text.find("syn 1 streamtype=error\n") == 0);
    CHECK(log.text.find("data 3 '' end\nping 1\nrst 3\nreply 1\ngoaway\n") != std::string::npos);
  }
}

TEST_CASE("what the SPDY codec writes it reads") {
  SpdyCodec writer, reader;
  std::string wire;
  Headers headers;
  headers.add("streamtype", "data");
  headers.add("port", "80");
  headers.add("port", "81");
  writer.syn_stream(wire, 1, headers);
  writer.syn_stream(wire, 3, stream_type("error", "80", "7"));
  writer.syn_reply(wire, 1);
  SpdyCodec::data(wire, 1, "abc", false);
  SpdyCodec::data(wire, 1, "", true);
  SpdyCodec::data(wire, 3, "x", true);
  SpdyCodec::rst_stream(wire, 3, SpdyReset::cancel);
  SpdyCodec::ping(wire, 5);
  SpdyCodec::goaway(wire, 3, SpdyGoAway::ok);
  Log log;
  REQUIRE(reader.feed(wire, log));
  CHECK(log.text ==
        "syn 1 port=80 port=81 streamtype=data\nsyn 3 port=80 requestid=7 streamtype=error\nreply 1\ndata 1 "
        "'abc'\n"
        "data 1 '' end\ndata 3 'x' end\nrst 3\nping 5\ngoaway\n");
}

TEST_CASE("broken SPDY frames end the connection, and foreign ones are skipped") {
  const auto feed = [](const std::string& bytes) {
    SpdyCodec codec;
    Log log;
    return codec.feed(bytes, log).has_value();
  };
  CHECK_FALSE(feed(from_hex("8002000600000004") + "abcd"));          // another version
  CHECK_FALSE(feed(from_hex("0000000000000001") + "a"));             // stream 0
  CHECK_FALSE(feed(from_hex("80030001ffffffff")));                   // too large
  CHECK_FALSE(feed(from_hex("8003000600000002") + "ab"));            // too short
  CHECK_FALSE(feed(from_hex("8003000600000000")));                   // empty
  CHECK_FALSE(feed(from_hex("800300030000000800000000") + "abcd"));  // stream 0
  CHECK_FALSE(feed(from_hex("800300010000000e00000001000000000000") + "junk"));
  CHECK(
      feed(from_hex("80030004000000040000000080030009000000080000000100000001")));  // SETTINGS, WINDOW_UPDATE
  CHECK(
      feed(from_hex("8003f00000100000") + std::string(0x100000, 'x') + from_hex("800300060000000400000001")));
}

TEST_CASE("a header block that would fill the memory is refused") {
  SpdyHeaderEncoder encoder;
  SpdyHeaderDecoder decoder;
  Headers small, large, many;
  small.add("a", "b");
  large.add("a", std::string(1 << 20, 'x'));
  for (int i = 0; i < 300; ++i) many.add("n" + std::to_string(i), "v");
  std::string block;
  encoder.encode(block, small);
  REQUIRE(decoder.decode(block));
  block.clear();
  encoder.encode(block, large);
  CHECK(block.size() < 16 * 1024);
  CHECK_FALSE(decoder.decode(block));
  SpdyHeaderEncoder other;
  SpdyHeaderDecoder fresh;
  block.clear();
  other.encode(block, many);
  CHECK_FALSE(fresh.decode(block));
}

// --- connections over a pipe, both ends on one thread

namespace {

struct World {
  explicit World(asio::any_io_executor executor, SpdyConnection::Options server_options = {})
      : pipe(make_pipe(executor)) {
    server = SpdyConnection::create(executor, std::move(pipe.server), SpdyConnection::Role::server,
                                    std::move(server_options));
    client = SpdyConnection::create(executor, std::move(pipe.client), SpdyConnection::Role::client, {});
    server->start();
    client->start();
  }
  Task<> close() {
    co_await client->close(std::chrono::milliseconds(30));
    co_await server->close(std::chrono::seconds(1));
  }
  PipePair pipe;
  std::shared_ptr<SpdyConnection> server, client;
};

using Test = std::function<Task<>(World&)>;
Task<> in_world(asio::any_io_executor executor, SpdyConnection::Options options, Test test) {
  World world(executor, std::move(options));
  co_await test(world);
  co_await world.close();
}
void with_pipe(Test test, SpdyConnection::Options options = {}) {
  EventThread thread("spdy-test");
  run_blocking(thread.executor(), in_world(thread.executor(), std::move(options), std::move(test)));
}

Task<> half_close(World& world) {
  auto opened = co_await world.client->open(stream_type("stdin"));
  REQUIRE(opened);
  auto ours = *opened;
  auto theirs = co_await world.server->accept();
  REQUIRE(theirs);
  CHECK(theirs->headers().get("streamtype") == "stdin");
  co_await put(*ours, "question");
  co_await shut(*ours);
  auto question = co_await read_to_end(*theirs);
  CHECK(*question == "question");
  // Its other half lives on.
  co_await put(*theirs, "answer");
  co_await shut(*theirs);
  auto answer = co_await read_to_end(*ours);
  CHECK(*answer == "answer");
  auto late = co_await ours->write("more");
  CHECK_FALSE(late);
  auto pinged = co_await world.client->ping();
  CHECK(pinged);
}

Task<> resets(World& world) {
  auto first = co_await world.client->open(stream_type("data"));
  auto theirs = co_await world.server->accept();
  co_await put(**first, "unread");
  (*first)->reset();
  auto read = co_await theirs->read_some();
  if (read) read = co_await theirs->read_some();  // what came before it
  REQUIRE_FALSE(read);
  CHECK(read.error().reason == "StreamReset");
  // Letting go is a reset too.
  auto second = co_await world.client->open(stream_type("data"));
  theirs = co_await world.server->accept();
  theirs.reset();
  auto gone = co_await (*second)->read_some();
  REQUIRE_FALSE(gone);
  CHECK(gone.error().reason == "StreamReset");
}

Task<> refusals(World& world) {
  auto good = co_await world.client->open(stream_type("data"));
  CHECK(good);
  auto bad = co_await world.client->open(stream_type("other"));
  REQUIRE_FALSE(bad);
  CHECK(bad.error().reason == "StreamReset");
  auto second = co_await world.client->open(stream_type("data"));
  CHECK(second);
  auto beyond = co_await world.client->open(stream_type("data"));
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().reason == "StreamReset");
}

Task<> reset_at_once(World& world) {
  for (int i = 0; i < 100; ++i) {
    auto opened = co_await world.client->open(stream_type("data"));
    REQUIRE(opened);  // those before count no more
    (*opened)->reset();
  }
  auto ponged = co_await world.client->ping();
  REQUIRE(ponged);
  auto none = co_await world.server->accept(std::chrono::steady_clock::now());
  CHECK_FALSE(none);  // and are not kept for anybody
}

Task<> end_of_peer(World& world) {
  auto opened = co_await world.client->open(stream_type("data"));
  auto theirs = co_await world.server->accept();
  co_await put(**opened, "last words");
  opened->reset();
  co_await world.client->close(std::chrono::milliseconds(30));
  auto none = co_await world.server->accept();
  CHECK_FALSE(none);
  CHECK_FALSE(world.server->is_open());
  CHECK(world.server->why_closed().reason == "ConnectionLost");
}

// What is unread stops the reading of the connection, and nothing is lost.
Task<> feed_stream(std::shared_ptr<MultiplexedStream> stream, std::size_t size, std::size_t& written) {
  const std::string piece(10'000, 'x');
  while (written < size) {
    Result<void> sent = co_await stream->write(piece);
    if (!sent) co_return;
    written += piece.size();
  }
  (void)co_await stream->shutdown_write();
}

Task<> slow_reader(World& world) {
  auto opened = co_await world.client->open(stream_type("data"));
  auto theirs = co_await world.server->accept();
  TaskGroup tasks(co_await asio::this_coro::executor);
  std::size_t written = 0;
  constexpr std::size_t kSize = 20'000'000;
  tasks.spawn("feed", feed_stream(*opened, kSize, written));
  // It comes to rest when all buffers are full.
  for (std::size_t before = 1, calm = 0; calm < 20; before = written) {
    co_await sleep_for(std::chrono::milliseconds(2));
    calm = before == written ? calm + 1 : 0;
  }
  CHECK(written < 1'000'000);
  CHECK(world.server->unread_bytes() >= 256 * 1024);
  CHECK(world.server->unread_bytes() <= (256 + 64) * 1024);
  CHECK(world.client->unsent_bytes() <= 256 * 1024);
  std::size_t total = 0, most = 0;
  for (;;) {
    auto piece = co_await theirs->read_some();
    REQUIRE(piece);
    if (piece->empty()) break;
    total += piece->size();
    most = std::max(most, world.server->unread_bytes());
  }
  CHECK(total == kSize);
  CHECK(most <= (256 + 64) * 1024);
  CHECK(world.server->unread_bytes() == 0);
  co_await tasks.stop();
}

// Many streams that nobody reads are bound together.
Task<> many_unread(World& world) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  std::vector<std::shared_ptr<MultiplexedStream>> ends;
  std::vector<std::size_t> written(50, 0);
  // All are open before the first byte comes: what is held back holds back the opening of streams too.
  std::vector<std::shared_ptr<MultiplexedStream>> ours;
  for (std::size_t i = 0; i < written.size(); ++i) {
    auto opened = co_await world.client->open(stream_type("data"));
    REQUIRE(opened);
    ours.push_back(*opened);
    auto accepted = co_await world.server->accept();
    ends.push_back(std::move(accepted));
  }
  for (std::size_t i = 0; i < written.size(); ++i)
    tasks.spawn("feed", feed_stream(ours[i], 200'000, written[i]));
  for (std::size_t before = 1, calm = 0, now = 0; calm < 20; before = now) {
    co_await sleep_for(std::chrono::milliseconds(2));
    now = 0;
    for (const auto one : written) now += one;
    calm = before == now ? calm + 1 : 0;
  }
  CHECK(world.server->unread_bytes() <= (1 << 20) + 64 * 1024);
  co_await tasks.stop();
}

Task<> ping_flood(World& world) {
  // A raw client that asks and never listens.
  auto pipe = make_pipe(co_await asio::this_coro::executor);
  auto server = SpdyConnection::create(co_await asio::this_coro::executor, std::move(pipe.server),
                                       SpdyConnection::Role::server, {});
  server->start();
  std::string pings;
  for (int i = 0; i < 1000; ++i) SpdyCodec::ping(pings, 1);
  for (int i = 0; i < 200 && pipe.to_server->bytes.size() < 48 * 1024; ++i) {
    pipe.to_server->bytes += pings;
    pipe.to_server->readable.set();
    co_await sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(pipe.to_server->bytes.size() >= 48 * 1024);  // it stopped reading
  CHECK(server->unsent_bytes() < 256 * 1024);
  pipe.client.reset();
  co_await server->close(std::chrono::milliseconds(100));
  (void)world;
}

Task<> idle(World& world) {
  co_await world.server->wait_closed();
  CHECK(world.server->why_closed().reason == "Timeout");
}

}  // namespace

TEST_CASE("a SPDY stream's half ends while the other lives on") { with_pipe(half_close); }
TEST_CASE("a reset SPDY stream is an error to its reader") { with_pipe(resets); }
TEST_CASE("a SPDY server refuses streams that it does not take and those beyond its limit") {
  SpdyConnection::Options options;
  options.streams = 2;
  options.accepts = [](const Headers& headers) { return headers.get("streamtype") == "data"; };
  // Both taken streams stay open in the server's queue.
  with_pipe(refusals, options);
}
TEST_CASE("SPDY streams that are reset before anybody takes them are forgotten") { with_pipe(reset_at_once); }
TEST_CASE("the end of a SPDY peer ends its streams") { with_pipe(end_of_peer); }
TEST_CASE("a slow reader of a SPDY stream holds its writer back in bounded memory") {
  with_pipe(slow_reader);
}
TEST_CASE("many unread SPDY streams share one bound") { with_pipe(many_unread); }
TEST_CASE("a SPDY peer that asks without listening is not heard any more") { with_pipe(ping_flood); }
TEST_CASE("an idle SPDY connection ends") {
  SpdyConnection::Options options;
  options.bounds.idle_timeout = std::chrono::milliseconds(30);
  with_pipe(idle, options);
}
