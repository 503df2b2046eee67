#pragma once
// Two ends of a connection for the streams' tests: pipes in memory, and a server whose connections are taken
// over.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "harness.h"
#include "http/streams/spdy_connection.h"
#include "http/streams/waiters.h"
#include "http/streams/websocket_connection.h"

namespace rusternetes::http::testing {

// One direction in memory.
struct PipeHalf {
  explicit PipeHalf(asio::any_io_executor executor) : readable(executor), room(executor) {}
  std::string bytes;
  bool is_ended = false;
  bool is_broken = false;  // the reader has gone
  AsyncEvent readable, room;
  std::size_t limit = 64 * 1024;
};

class PipeEnd final : public ByteStream {
 public:
  PipeEnd(std::shared_ptr<PipeHalf> in, std::shared_ptr<PipeHalf> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~PipeEnd() override {
    in_->is_broken = out_->is_ended = true;
    in_->room.set();
    out_->readable.set();
  }
  Task<Result<std::string>> read_some() override {
    auto in = in_;
    while (in->bytes.empty() && !in->is_ended) co_await in->readable.wait();
    std::string bytes = std::move(in->bytes);
    in->bytes.clear();
    in->room.set();
    co_return bytes;
  }
  Task<Result<void>> write(std::string_view bytes) override {
    auto out = out_;
    while (!bytes.empty()) {
      if (out->is_broken) co_return Status{503, "ConnectionLost", "broken pipe"};
      const auto piece = bytes.substr(0, out->limit - std::min(out->limit, out->bytes.size()));
      if (piece.empty()) {
        co_await out->room.wait();
        continue;
      }
      out->bytes.append(piece);
      bytes.remove_prefix(piece.size());
      out->readable.set();
    }
    co_return Result<void>{};
  }
  Task<Result<void>> shutdown_write() override {
    out_->is_ended = true;
    out_->readable.set();
    co_return Result<void>{};
  }

 private:
  std::shared_ptr<PipeHalf> in_, out_;
};

struct PipePair {
  std::shared_ptr<PipeHalf> to_server, to_client;
  std::unique_ptr<ByteStream> server, client;
};
inline PipePair make_pipe(asio::any_io_executor executor) {
  PipePair out;
  out.to_server = std::make_shared<PipeHalf>(executor);
  out.to_client = std::make_shared<PipeHalf>(executor);
  out.server = std::make_unique<PipeEnd>(out.to_server, out.to_client);
  out.client = std::make_unique<PipeEnd>(out.to_client, out.to_server);
  return out;
}

// The whole of a stream.
inline Task<Result<std::string>> read_to_end(ByteStream& stream) {
  std::string all;
  for (;;) {
    Result<std::string> piece = co_await stream.read_some();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return all;
    all += *piece;
  }
}

inline Task<> put(ByteStream& stream, std::string text) {
  Result<void> sent = co_await stream.write(text);
  REQUIRE(sent);
}
inline Task<> shut(ByteStream& stream) {
  Result<void> done = co_await stream.shutdown_write();
  REQUIRE(done);
}

// What a client got to its request for another protocol.
struct Upgraded {
  int status = 0;
  Headers headers;
  std::string body;
  std::unique_ptr<ByteStream> stream;  // after 101
};

// A server on one thread, whose handler takes connections over, and a client on another.
class StreamHarness {
 public:
  explicit StreamHarness(Handler handler) {
    Server::Options options;
    options.name = "stream-test";
    options.executors = {server_thread.executor()};
    options.handler = std::move(handler);
    server = std::make_unique<Server>(std::move(options));
    port = *server->listen_plain("127.0.0.1", 0);
    server->start();
    client = *Client::create(thread.executor(), {"http://127.0.0.1:" + std::to_string(port), {}});
  }
  ~StreamHarness() {
    client.reset();
    run(stop());
    thread.stop();
    server_thread.stop();
  }
  Task<> stop() { co_await server->stop(std::chrono::seconds(5)); }
  void run(Task<> task) { run_blocking(thread.executor(), std::move(task)); }

  Task<Upgraded> upgrade(std::string method, std::string target, Headers headers) {
    ClientRequest request{std::move(method), std::move(target), std::move(headers), {}};
    auto sent = co_await client->send(std::move(request));
    REQUIRE(sent);
    auto response = *std::move(sent);
    Upgraded out;
    out.status = response->head().status;
    out.headers = response->head().headers;
    if (out.status == 101) {
      auto stream = response->take_stream();
      REQUIRE(stream);
      out.stream = *std::move(stream);
    } else {
      auto body = co_await response->read_all(1 << 20);
      REQUIRE(body);
      out.body = *body;
    }
    co_return out;
  }
  Task<Upgraded> upgrade_spdy(std::string target, std::string protocol) {
    Headers headers;
    headers.add("Connection", "Upgrade");
    headers.add("Upgrade", "SPDY/3.1");
    if (!protocol.empty()) headers.add("X-Stream-Protocol-Version", protocol);
    Upgraded out = co_await upgrade("POST", std::move(target), std::move(headers));
    co_return out;
  }
  Task<Upgraded> upgrade_websocket(std::string target, std::string protocol) {
    Headers headers;
    headers.add("Connection", "Upgrade");
    headers.add("Upgrade", "websocket");
    headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    headers.add("Sec-WebSocket-Version", "13");
    if (!protocol.empty()) headers.add("Sec-WebSocket-Protocol", protocol);
    Upgraded out = co_await upgrade("GET", std::move(target), std::move(headers));
    co_return out;
  }
  // A client's connection over what an upgrade gave. start() of the WebSocket follows when its channels are
  // taken: what has come by then is read at once.
  std::shared_ptr<SpdyConnection> spdy(Upgraded& upgraded) {
    REQUIRE(upgraded.status == 101);
    auto made = SpdyConnection::create(thread.executor(), std::move(upgraded.stream),
                                       SpdyConnection::Role::client, {});
    made->start();
    return made;
  }
  std::shared_ptr<WebSocketConnection> websocket(Upgraded& upgraded, WebSocketConnection::Options options) {
    REQUIRE(upgraded.status == 101);
    options.role = WebSocketCodec::Role::client;
    return WebSocketConnection::create(thread.executor(), std::move(upgraded.stream), options);
  }

  EventThread server_thread{"stream-server"};
  EventThread thread{"stream-client"};
  std::unique_ptr<Server> server;
  std::unique_ptr<Client> client;
  std::uint16_t port = 0;
};

inline Headers stream_type(std::string type, std::string port = {}, std::string request_id = {}) {
  Headers headers;
  headers.add("streamtype", std::move(type));
  if (!port.empty()) headers.add("port", std::move(port));
  if (!request_id.empty()) headers.add("requestid", std::move(request_id));
  return headers;
}

}  // namespace rusternetes::http::testing
