// Any bytes as a WebSocket client's: to connections of channels (the first byte says which form), whose
// channels are read and answered.
#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "http/streams/remote_status.h"
#include "http/streams/websocket_connection.h"
#include "stream_bytes.h"

using namespace rusternetes;
using namespace rusternetes::http;

namespace {

WebSocketConnection::Options options;

Task<> echo(std::shared_ptr<MultiplexedStream> from, std::shared_ptr<MultiplexedStream> to) {
  ResizeDecoder sizes;
  for (;;) {
    auto piece = co_await from->read_some();
    if (!piece || piece->empty()) break;
    (void)sizes.feed(*piece);
    auto sent = co_await to->write(*piece);
    if (!sent) co_return;
  }
}

Task<> serve(std::unique_ptr<ByteStream> stream) {
  const auto executor = co_await asio::this_coro::executor;
  auto connection = WebSocketConnection::create(executor, std::move(stream), options);
  connection->announce(0);
  TaskGroup tasks(executor);
  for (std::size_t i = 0; i + 1 < options.channels; i += 2)
    tasks.spawn("echo", echo(connection->take_channel(i), connection->take_channel(i + 1)));
  connection->start();
  co_await connection->wait_closed();
  co_await tasks.stop();
  co_await connection->close(std::chrono::seconds(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  options.form = data[0] % 3 == 0   ? WebSocketConnection::Form::binary
                 : data[0] % 3 == 1 ? WebSocketConnection::Form::base64
                                    : WebSocketConnection::Form::tunnel;
  options.channels = data[0] % 3 == 2 ? 1 : 6;
  options.has_close_signal = data[0] & 0x80;
  options.bounds.idle_timeout = std::chrono::milliseconds(0);
  fuzzing::feed_stream({reinterpret_cast<const char*>(data) + 1, size - 1}, serve);
  return 0;
}
