#pragma once
// One HTTP/2 connection of the server. Internal to this folder.

#include <memory>
#include <string>
#include <unordered_map>

#include "http/http2_session.h"
#include "http/server_exchange.h"

namespace rusternetes::http {

class Http2Exchange;

class Http2ServerConnection final : public ServerConnection, public Http2Session {
 public:
  Http2ServerConnection(std::shared_ptr<ServerCore> core, std::shared_ptr<Transport> transport,
                        std::shared_ptr<const Peer> peer);

  // Serves until the connection has ended and the last handler with it. `already_read` are the first bytes.
  Task<> run(std::string already_read);
  void drain() override;
  void close() override { lose(); }

 private:
  friend class Http2Exchange;
  // A request whose head is coming.
  struct Incoming {
    RequestHead head;
    std::size_t size = 0;
    bool is_too_large = false;
  };

  std::shared_ptr<Http2ServerConnection> self() {
    return std::static_pointer_cast<Http2ServerConnection>(shared_from_this());
  }
  void open_exchange(std::int32_t id);
  void refuse(std::int32_t id, int status, std::string_view text);
  void on_exchange_ended();
  void say_goodbye();

  void on_headers_begin(std::int32_t id, nghttp2_headers_category category) override;
  void on_header(std::int32_t id, std::string_view name, std::string_view value) override;
  void on_headers_end(std::int32_t id, nghttp2_headers_category category) override;
  void on_data(std::int32_t id, std::string_view bytes) override;
  void on_peer_end(std::int32_t id) override;
  void on_stream_closed(std::int32_t id, std::uint32_t code) override;
  void on_stream_out_sent(std::int32_t id) override;
  void on_ping_ack() override;
  void on_settings() override;
  void on_lost() override;
  void on_finished() override;
  void on_timeout() override;
  Time next_deadline() override;

  std::shared_ptr<ServerCore> core_;
  std::shared_ptr<const Peer> peer_;
  std::unordered_map<std::int32_t, std::shared_ptr<Http2Exchange>> exchanges_;
  std::unique_ptr<Incoming> incoming_;
  std::int32_t incoming_id_ = 0;
  AsyncEvent changed_;
  std::size_t running_ = 0;  // handlers, also those of closed streams
  Time idle_since_;
  Time head_since_;  // a head, or the preface, is expected since then; max(): none is
  Time goodbye_at_ = Time::max();
  bool is_draining_ = false;
  bool is_over_ = false;
};

}  // namespace rusternetes::http
