// A peer that is held back and goes: nobody reads its end, but its connection's break is heard.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/stream.h"
#include "http/transport.h"
#include "streams_harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

// Both ends of a TCP connection, non-blocking.
std::pair<int, int> tcp_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener, any, length) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, any, &length) == 0);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(client, any, length) == 0);
  const int server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  REQUIRE(server >= 0);
  ::close(listener);
  return {client, server};
}

// SPDY inside a WebSocket, as port-forward has it.
class Tunnel final : public ByteStream, public Breakable {
 public:
  explicit Tunnel(std::shared_ptr<MultiplexedStream> inside) : inside_(std::move(inside)) {}
  Task<Result<std::string>> read_some() override { return inside_->read_some(); }
  Task<Result<void>> write(std::string_view bytes) override { return inside_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return inside_->shutdown_write(); }
  Task<> wait_broken() override { return inside_->wait_broken(); }

 private:
  std::shared_ptr<MultiplexedStream> inside_;
};

Task<> held_back(bool is_reset, bool is_tunnelled = false) {
  const auto executor = co_await asio::this_coro::executor;
  const auto [client, server] = tcp_pair();
  auto stream =
      make_stream(std::make_shared<Transport>(executor, server), {}, nullptr);
  std::shared_ptr<WebSocketConnection> web;
  if (is_tunnelled) {
    WebSocketConnection::Options outer;
    outer.form = WebSocketConnection::Form::tunnel;
    web = WebSocketConnection::create(executor, std::move(stream), outer);
    stream = std::make_unique<Tunnel>(web->take_channel(0));
    web->start();
  }
  std::string wire;
  WebSocketCodec masked(WebSocketCodec::Role::client, wire);
  const auto wrap = [&](std::string bytes) {
    if (!is_tunnelled) return bytes;
    masked.message(false, {}, bytes);
    return std::exchange(wire, {});
  };
  SpdyConnection::Options options;
  options.bounds.idle_timeout = std::chrono::milliseconds(0);
  auto connection =
      SpdyConnection::create(executor, std::move(stream), SpdyConnection::Role::server, std::move(options));
  connection->start();
  SpdyCodec codec;
  std::string out;
  codec.syn_stream(out, 1, {});
  SpdyCodec::data(out, 1, std::string(64 * 1024, 'x'), false);
  out = wrap(std::move(out));
  REQUIRE(::send(client, out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
  auto opened = co_await connection->accept();
  REQUIRE(opened);
  // Until the kernel takes no more: nobody reads the stream.
  out.clear();
  SpdyCodec::data(out, 1, std::string(64 * 1024, 'x'), false);
  std::string rest;
  std::size_t sent_frames = 0;
  for (int calm = 0; calm < 30;) {
    if (rest.empty()) {
      rest = wrap(out);
      ++sent_frames;  // the last one may be cut
    }
    const auto sent = ::send(client, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    const bool is_taken = sent > 0;
    if (is_taken) rest.erase(0, static_cast<std::size_t>(sent));
    calm = is_taken ? 0 : calm + 1;
    if (!is_taken) co_await sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(connection->is_open());
  // The bound, and one read beyond it: of a tunnel, what that held.
  CHECK(connection->unread_bytes() < (is_tunnelled ? 768u : 512u) * 1024);
  if (is_reset) {
    const linger at_once{1, 0};
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(client);
    for (int i = 0; i < 2000 && connection->is_open(); ++i) co_await sleep_for(std::chrono::milliseconds(2));
    CHECK_FALSE(connection->is_open());
    CHECK(connection->why_closed().reason == "ConnectionLost");
    // What came before stays readable, and then the loss is told.
    std::size_t size = 0;
    for (;;) {
      auto piece = co_await opened->read_some();
      if (!piece) {
        CHECK(piece.error().reason == "ConnectionLost");
        break;
      }
      REQUIRE_FALSE(piece->empty());
      size += piece->size();
    }
    CHECK(size >= 256 * 1024);
  } else {
    // An orderly end, behind what nobody reads: all that came whole is still there, and then the loss is told.
    ::shutdown(client, SHUT_WR);
    std::size_t size = 0;
    for (;;) {
      auto piece = co_await opened->read_some();
      if (!piece || piece->empty()) {
        CHECK_FALSE(piece);  // it was no end of the stream
        break;
      }
      size += piece->size();
    }
    CHECK(size >= sent_frames * 64 * 1024);
    CHECK_FALSE(connection->is_open());
    ::close(client);
  }
  opened.reset();
  co_await connection->close(std::chrono::milliseconds(100));
  if (web) co_await web->close(std::chrono::milliseconds(100));
}

std::chrono::nanoseconds own_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// What a peer pauses before goes on to it, and a close that is to hurry does.
Task<> slow_close(bool is_hurried) {
  const auto executor = co_await asio::this_coro::executor;
  const auto [client, server] = tcp_pair();
  auto stream =
      make_stream(std::make_shared<Transport>(executor, server), {}, nullptr);
  auto connection =
      SpdyConnection::create(executor, std::move(stream), SpdyConnection::Role::server, {});
  connection->start();
  SpdyCodec codec;
  std::string out;
  codec.syn_stream(out, 1, {});
  REQUIRE(::send(client, out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
  auto opened = co_await connection->accept();
  REQUIRE(opened);
  struct Side {
    static Task<> feed(std::shared_ptr<MultiplexedStream> to, std::size_t& sent) {
      const std::string piece(32 * 1024, 'x');
      for (;;) {
        auto written = co_await to->write(piece);
        if (!written) co_return;
        sent += piece.size();
      }
    }
    static Task<> close(std::shared_ptr<SpdyConnection> connection, bool& is_closed) {
      co_await connection->close(std::chrono::hours(1));
      is_closed = true;
    }
  };
  std::size_t sent = 0;
  bool is_closed = false;
  TaskGroup tasks(executor);
  tasks.spawn("feed", Side::feed(opened, sent));
  for (std::size_t before = 1, calm = 0; calm < 20; before = sent) {
    co_await sleep_for(std::chrono::milliseconds(2));
    calm = before == sent ? calm + 1 : 0;
  }
  tasks.spawn("close", Side::close(connection, is_closed));
  co_await sleep_for(std::chrono::milliseconds(2500));  // longer than it lingers
  CHECK_FALSE(is_closed);
  if (is_hurried) {
    connection->hurry();
  } else {
    std::size_t size = 0;
    std::string buffer(64 * 1024, 0);
    for (bool is_over = false; !is_over;) {
      const auto got = ::recv(client, buffer.data(), buffer.size(), MSG_DONTWAIT);
      is_over = got == 0 || (got < 0 && errno != EAGAIN);
      if (got > 0) size += static_cast<std::size_t>(got);
      if (got < 0) co_await sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(size >= sent);
  }
  ::close(client);
  for (int i = 0; i < 1000 && !is_closed; ++i) co_await sleep_for(std::chrono::milliseconds(1));
  CHECK(is_closed);
  co_await tasks.stop();
}

Task<> half_closed_both() {
  const auto executor = co_await asio::this_coro::executor;
  const auto [client, server] = tcp_pair();
  auto stream =
      make_stream(std::make_shared<Transport>(executor, server), {}, nullptr);
  bool is_broken = false;
  struct Watch {
    static Task<> run(ByteStream& stream, bool& is_broken) {
      co_await wait_broken(stream);
      is_broken = true;
    }
  };
  TaskGroup tasks(executor);
  tasks.spawn("watch", Watch::run(*stream, is_broken));
  auto ended = co_await stream->shutdown_write();
  REQUIRE(ended);
  REQUIRE(::send(client, "last words", 10, 0) == 10);
  ::shutdown(client, SHUT_WR);
  // One that looks again and again takes all of the time.
  const auto before = own_cpu_time();
  co_await sleep_for(std::chrono::milliseconds(200));
  CHECK(own_cpu_time() - before < std::chrono::milliseconds(60));
  CHECK_FALSE(is_broken);  // there is still something to read
  auto words = co_await read_to_end(*stream);
  REQUIRE(words);
  CHECK(*words == "last words");
  stream.reset();
  for (int i = 0; i < 2000 && !is_broken; ++i) co_await sleep_for(std::chrono::milliseconds(1));
  CHECK(is_broken);
  co_await tasks.stop();
  ::close(client);
}

void on_a_thread(Task<> task) {
  EventThread thread("broken-test");
  run_blocking(thread.executor(), std::move(task));
  thread.stop();
}

}  // namespace

TEST_CASE("a held-back client's reset ends its connection") { on_a_thread(held_back(true)); }
TEST_CASE("a held-back client's reset ends its connection in a tunnel, too") { on_a_thread(held_back(true, true)); }
TEST_CASE("what a held-back client sent before its end is read to the last byte") { on_a_thread(held_back(false)); }
TEST_CASE("two ended halves are no broken connection") { on_a_thread(half_closed_both()); }
TEST_CASE("a peer that pauses gets all that was sent before the close") { on_a_thread(slow_close(false)); }
TEST_CASE("a close that waits for a slow peer can be hurried") { on_a_thread(slow_close(true)); }
