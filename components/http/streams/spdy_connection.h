#pragma once
// A SPDY/3.1 connection, either end. The server answers streams as they come (or refuses them); the client
// opens them.

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "http/streams/multiplexer.h"
#include "http/streams/spdy_codec.h"

namespace rusternetes::http {

class SpdyConnection final : public Multiplexer, private SpdyCodec::Events {
 public:
  enum class Role { client, server };
  struct Options {
    MultiplexerOptions bounds;
    std::size_t streams = 2048;  // open at once; the peer's next one is refused
    // Whether the server takes a stream with these headers; empty: every one.
    std::function<bool(const Headers&)> accepts;
  };
  // start() follows.
  static std::shared_ptr<SpdyConnection> create(asio::any_io_executor executor,
                                                std::unique_ptr<ByteStream> stream, Role role,
                                                Options options);

  // The next stream that the peer has opened and that was answered; none at the connection's end or the
  // deadline. For one coroutine.
  Task<std::shared_ptr<MultiplexedStream>> accept(
      std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());
  // Opens a stream and waits for its answer. "StreamReset" when it is refused.
  Task<Result<std::shared_ptr<MultiplexedStream>>> open(Headers headers);
  // Until the peer answers; for one coroutine.
  Task<Result<void>> ping();

 private:
  struct Opening {
    explicit Opening(asio::any_io_executor executor) : changed(std::move(executor)) {}
    AsyncEvent changed;
    bool is_answered = false;
    bool is_refused = false;
  };

  SpdyConnection(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream, Role role,
                 Options options);

  Result<void> receive(std::string_view bytes) override;
  void encode_data(const State& stream, std::string_view bytes) override;
  void encode_end(const State& stream) override;
  void encode_reset(const State& stream) override;
  void encode_goodbye() override;
  void on_closed() override;

  void on_syn_stream(std::uint32_t id, Headers headers, bool is_end) override;
  void on_syn_reply(std::uint32_t id, bool is_end) override;
  void on_headers(std::uint32_t id, bool is_end) override;
  void on_rst_stream(std::uint32_t id) override;
  void on_ping(std::uint32_t id) override;
  void on_goaway() override;
  void on_data(std::uint32_t id, std::string_view bytes, bool is_end) override;

  Role role_;
  std::size_t stream_limit_;
  std::function<bool(const Headers&)> accepts_;
  SpdyCodec codec_;
  std::deque<std::shared_ptr<MultiplexedStream>> accepted_;
  AsyncEvent has_accepted_, has_pong_;
  std::map<std::uint32_t, std::shared_ptr<Opening>> opening_;
  std::uint32_t next_id_, next_ping_, answered_ping_ = 0;
  std::uint32_t last_peer_id_ = 0;
};

}  // namespace rusternetes::http
