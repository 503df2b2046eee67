#pragma once
// A server whose command echoes, for the tests of exec's wire, and clients to it.

#include <atomic>
#include <string>

#include "http/streams/remote_command.h"
#include "streams_harness.h"

namespace rusternetes::http::testing {

inline bool asks(const std::string& target, const std::string& what) {
  return target.find(what + "=1") != std::string::npos;
}

// Echoes stdin to stdout until its end, says "bye" on stderr, tells each size on stdout, and exits with 7.
class EchoCommand {
 public:
  Task<> serve(std::shared_ptr<Exchange> exchange) {
    const std::string target = exchange->head().target;
    RemoteCommandOptions options;
    options.has_stdin = asks(target, "stdin");
    options.has_stdout = asks(target, "stdout");
    options.has_stderr = asks(target, "stderr");
    options.has_tty = asks(target, "tty");
    StreamTimeouts timeouts;
    if (asks(target, "hasty")) timeouts.creation = std::chrono::milliseconds(100);
    auto accepted = co_await RemoteCommand::accept(exchange, options, timeouts);
    if (!accepted) co_return;
    auto command = *std::move(accepted);
    ++open;
    auto opened = co_await command->open();
    if (opened) {
      if (options.has_tty)
        co_await tell_size(*command);
      else if (asks(target, "flood"))
        co_await flood(*command);
      else
        co_await echo(*command);
      auto finished = co_await command->finish(
          asks(target, "fail") ? RemoteStatus::failed("it \"broke\"")
                               : RemoteStatus::exited(asks(target, "well") ? 0 : 7, "echo a"));
      if (!finished) ++lost;
    } else {
      ++unopened;
    }
    co_await command->close(std::chrono::seconds(2));
    --open;
  }

  std::atomic<int> open{0}, unopened{0}, lost{0};
  std::atomic<std::size_t> echoed{0}, most_buffered{0};

 private:
  Task<> echo(RemoteCommand& command) {
    while (command.stdin_stream()) {
      auto piece = co_await command.stdin_stream()->read_some();
      if (!piece || piece->empty()) break;
      echoed += piece->size();
      if (!command.stdout_stream()) continue;
      auto sent = co_await command.stdout_stream()->write(*piece);
      if (!sent) break;
    }
    if (command.stderr_stream()) (void)co_await command.stderr_stream()->write("bye");
  }
  Task<> tell_size(RemoteCommand& command) {
    const auto size = co_await command.next_size();
    const std::string text = size ? std::to_string(size->width) + "x" + std::to_string(size->height) : "none";
    (void)co_await command.stdout_stream()->write(text);
  }
  Task<> flood(RemoteCommand& command) {
    const std::string piece(32 * 1024, 'x');
    for (int i = 0; i < 2048; ++i) {
      auto sent = co_await command.stdout_stream()->write(piece);
      if (!sent) co_return;
      echoed += piece.size();
    }
  }
};

struct ExecWorld {
  EchoCommand echo;
  StreamHarness net{[this](std::shared_ptr<Exchange> exchange) { return echo.serve(std::move(exchange)); }};
};

using Test = std::function<Task<>(ExecWorld&)>;
inline void in_world(Test test) {
  ExecWorld world;
  world.net.run(test(world));
  CHECK(eventually([&] { return world.echo.open == 0; }));
}

struct SpdyStreams {
  std::shared_ptr<SpdyConnection> connection;
  std::shared_ptr<MultiplexedStream> error, in, out, err, resize;
};
inline Task<std::shared_ptr<MultiplexedStream>> open_stream(std::shared_ptr<SpdyConnection> connection,
                                                            std::string type) {
  auto opened = co_await connection->open(stream_type(type));
  REQUIRE(opened);
  co_return *opened;
}
inline Task<SpdyStreams> open_spdy(ExecWorld& world, std::string target, std::string protocol) {
  SpdyStreams out;
  Upgraded upgraded = co_await world.net.upgrade_spdy(target, protocol);
  CHECK(upgraded.headers.get("x-stream-protocol-version") == protocol);
  CHECK(upgraded.headers.get("upgrade") == "SPDY/3.1");
  out.connection = world.net.spdy(upgraded);
  out.error = co_await open_stream(out.connection, "error");
  if (asks(target, "stdin")) out.in = co_await open_stream(out.connection, "stdin");
  if (asks(target, "stdout")) out.out = co_await open_stream(out.connection, "stdout");
  if (asks(target, "stderr")) out.err = co_await open_stream(out.connection, "stderr");
  if (asks(target, "tty")) out.resize = co_await open_stream(out.connection, "resize");
  co_return out;
}

inline const char* const kExit7 =
    R"({"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: error executing command [echo a], exit code 7","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}})";
inline const char* const kExit7Text =
    "command terminated with non-zero exit code: error executing command [echo a], exit code 7";

inline WebSocketConnection::Options web_options(const std::string& protocol) {
  WebSocketConnection::Options options;
  options.channels = 5;
  options.has_close_signal = protocol.starts_with("v5");
  if (protocol.ends_with("base64.channel.k8s.io")) options.form = WebSocketConnection::Form::base64;
  return options;
}

inline Task<> read_some_of(std::shared_ptr<MultiplexedStream> stream, std::size_t size, std::string& text) {
  while (text.size() < size) {
    auto piece = co_await stream->read_some();
    REQUIRE(piece);
    REQUIRE_FALSE(piece->empty());
    text += *piece;
  }
}

}  // namespace rusternetes::http::testing
