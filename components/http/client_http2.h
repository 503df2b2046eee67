#pragma once
// One HTTP/2 connection of a client, for many requests at a time. Internal to this folder.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "http/client.h"
#include "http/http2_session.h"

namespace rusternetes::http {

class Http2ClientConnection final : public Http2Session {
 public:
  Http2ClientConnection(std::shared_ptr<Transport> transport, std::string scheme, std::string authority,
                        const ClientOptions& options);
  // Sends the preface.
  void start();
  // Until the server has told its limits; false: it did not within `timeout`.
  Task<bool> wait_ready(std::chrono::milliseconds timeout);

  struct Failure {
    Status status;
    bool is_unprocessed = false;  // the server says that it did nothing (GOAWAY, REFUSED_STREAM)
  };
  Task<std::unique_ptr<ClientResponse>> send(ClientRequest request, std::shared_ptr<Failure> failure);

  // Takes another request now.
  bool has_room() const;
  bool is_usable() const { return !is_lost() && !is_going_away_; }

 private:
  friend class Http2Response;
  struct ClientStream final : Stream {
    explicit ClientStream(asio::any_io_executor executor) : changed(std::move(executor)) {}
    AsyncEvent changed;
    ResponseHead head;
    Headers trailers;
    std::string body;
    std::size_t head_bytes = 0;  // of head and trailers, as RFC 9113 counts them (6.5.2)
    bool has_head = false;
    bool is_peer_done = false;
    std::uint32_t code = 0;
    bool is_lost = false;
  };
  using StreamPtr = std::shared_ptr<ClientStream>;

  std::shared_ptr<Http2ClientConnection> self() {
    return std::static_pointer_cast<Http2ClientConnection>(shared_from_this());
  }
  StreamPtr submit(ClientRequest& request);
  Task<Result<std::string>> read_body(StreamPtr stream);
  void abandon(ClientStream& stream);
  Status broken(const ClientStream& stream) const;

  ClientStream* stream(std::int32_t id) { return static_cast<ClientStream*>(find(id)); }
  void on_headers_begin(std::int32_t id, nghttp2_headers_category category) override;
  void on_header(std::int32_t id, std::string_view name, std::string_view value) override;
  void on_headers_end(std::int32_t id, nghttp2_headers_category category) override;
  void on_data(std::int32_t id, std::string_view bytes) override;
  void on_peer_end(std::int32_t id) override;
  void on_stream_closed(std::int32_t id, std::uint32_t code) override;
  void on_goaway(std::int32_t last) override;
  void on_ping_ack() override;
  void on_settings() override;
  void on_lost() override;
  void on_finished() override { lose(); }
  void on_timeout() override;
  Time next_deadline() override;

  std::string scheme_;
  std::string authority_;
  ClientOptions options_;
  std::map<std::int32_t, StreamPtr> streams_;
  Time idle_since_;
  std::optional<Time> ping_sent_;
  AsyncEvent ready_;
  bool has_settings_ = false;
  bool is_going_away_ = false;
};

}  // namespace rusternetes::http
