#pragma once
// Streams over one WebSocket, as Kubernetes lays them out: each message begins with the number of its channel
// ("channel.k8s.io", or base64 text in "base64.channel.k8s.io"), or all messages are one stream (a tunnel, in
// which port-forward speaks SPDY).

#include <memory>
#include <vector>

#include "http/streams/multiplexer.h"
#include "http/streams/websocket_codec.h"

namespace rusternetes::http {

class WebSocketConnection final : public Multiplexer, private WebSocketCodec::Events {
 public:
  enum class Form { binary, base64, tunnel };
  struct Options {
    MultiplexerOptions bounds;
    WebSocketCodec::Role role = WebSocketCodec::Role::server;
    Form form = Form::binary;
    std::size_t channels = 1;  // numbered from 0; a tunnel has one
    // v5: a message of the bytes 255 and N ends channel N in the direction in which it is sent.
    bool has_close_signal = false;
  };
  // start() follows.
  static std::shared_ptr<WebSocketConnection> create(asio::any_io_executor executor,
                                                     std::unique_ptr<ByteStream> stream, Options options);

  // Each channel once; it is the caller's from then on. In the other forms than a tunnel its end and its
  // reset say nothing to the peer, but for a client with the close signal.
  std::shared_ptr<MultiplexedStream> take_channel(std::size_t number);
  // What comes on it is dropped, if nobody has taken it.
  void ignore_channel(std::size_t number);
  // An empty message: what tells clients of channel protocols that the connection stands.
  void announce(std::size_t number);
  void ping() { codec_.ping(), wake_writer(); }

 private:
  WebSocketConnection(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream, Options options);
  void open_channels();

  Result<void> receive(std::string_view bytes) override;
  void encode_data(const State& stream, std::string_view bytes) override;
  void encode_end(const State& stream) override;
  void encode_reset(const State& stream) override;
  void encode_goodbye() override;
  void on_closed() override { channels_.clear(); }

  void on_message_begin(bool is_text) override;
  void on_message_bytes(std::string_view bytes) override;
  void on_message_end() override;
  void on_pong() override {}
  void on_close(std::uint16_t code) override;

  void channel_bytes(std::string_view bytes);
  void deliver_base64(State& stream, std::string_view text);

  Options options_;
  WebSocketCodec codec_;
  std::vector<std::shared_ptr<MultiplexedStream>> channels_;  // not taken yet
  // The message under way.
  std::shared_ptr<State> target_;  // none: the channel is not known yet, or is not ours
  bool has_channel_ = false;
  bool is_close_signal_ = false;
  std::string quantum_;  // of base64, less than four characters
  bool is_bad_ = false;
};

}  // namespace rusternetes::http
