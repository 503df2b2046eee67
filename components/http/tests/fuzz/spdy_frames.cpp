// Any bytes as a SPDY client's: to the codec in pieces, and to a connection whose streams are read and
// answered.
#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "http/streams/spdy_connection.h"
#include "stream_bytes.h"

using namespace rusternetes;
using namespace rusternetes::http;

namespace {

struct Sink final : SpdyCodec::Events {
  void on_syn_stream(std::uint32_t id, Headers headers, bool) override {
    RN_ASSERT(id != 0 && headers.fields().size() <= 256, "a stream within bounds");
  }
  void on_syn_reply(std::uint32_t, bool) override {}
  void on_headers(std::uint32_t, bool) override {}
  void on_rst_stream(std::uint32_t) override {}
  void on_ping(std::uint32_t) override {}
  void on_goaway() override {}
  void on_data(std::uint32_t id, std::string_view bytes, bool) override {
    RN_ASSERT(id != 0, "data of a stream");
    size += bytes.size();
  }
  std::size_t size = 0;
};

Task<> echo(std::shared_ptr<MultiplexedStream> stream) {
  for (;;) {
    auto piece = co_await stream->read_some();
    if (!piece || piece->empty()) break;
    auto sent = co_await stream->write(*piece);
    if (!sent) co_return;
  }
  (void)co_await stream->shutdown_write();
}

Task<> serve(std::unique_ptr<ByteStream> stream) {
  const auto executor = co_await asio::this_coro::executor;
  SpdyConnection::Options options;
  options.bounds.idle_timeout = std::chrono::milliseconds(0);
  options.streams = 16;
  auto connection =
      SpdyConnection::create(executor, std::move(stream), SpdyConnection::Role::server, std::move(options));
  connection->start();
  TaskGroup tasks(executor);
  for (;;) {
    auto accepted = co_await connection->accept();
    if (!accepted) break;
    tasks.spawn("echo", echo(std::move(accepted)));
  }
  co_await tasks.stop();
  co_await connection->close(std::chrono::seconds(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  SpdyCodec codec;
  Sink sink;
  for (std::size_t at = 0; at < size; at += 7)
    if (!codec.feed(bytes.substr(at, 7), sink)) break;
  RN_ASSERT(sink.size <= size, "more came out than went in");
  fuzzing::feed_stream(bytes, serve);
  return 0;
}
