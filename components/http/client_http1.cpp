#include "http/client_http1.h"

#include <fmt/format.h>

#include "http/stream.h"

namespace rusternetes::http {
namespace {

constexpr std::size_t kHeadLimit = 1 << 20;
constexpr std::size_t kHighWater = 256 * 1024;
constexpr std::size_t kPiece = 64 * 1024;

}  // namespace

class Http1Response final : public ClientResponse {
 public:
  Http1Response(std::shared_ptr<Http1ClientConnection> connection, ResponseHead head)
      : connection_(std::move(connection)), head_(std::move(head)) {
    give_back_if_done();
  }
  ~Http1Response() {
    if (connection_) connection_->close();
  }

  const ResponseHead& head() const override { return head_; }

  Task<Result<std::string>> read_some() override {
    auto connection = connection_;
    if (!connection) co_return std::string();
    Result<std::string> piece = co_await connection->read_body();
    if (!piece) {
      connection->close();
      connection_.reset();
    } else {
      give_back_if_done();
    }
    co_return piece;
  }

  Result<std::unique_ptr<ByteStream>> take_stream() override {
    if (head_.status != 101 || !connection_)
      return Status{500, "InternalError", fmt::format("status {} is not an upgrade", head_.status)};
    auto connection = std::move(connection_);
    return make_stream(std::move(connection->transport_), std::move(connection->in_), nullptr);
  }

 private:
  void give_back_if_done() {
    if (head_.status == 101 || !connection_->decoder_->is_done()) return;
    std::exchange(connection_, nullptr)->finish_response();
  }

  std::shared_ptr<Http1ClientConnection> connection_;
  ResponseHead head_;
};

Http1ClientConnection::Http1ClientConnection(std::shared_ptr<Transport> transport, std::string authority,
                                             Recycle recycle)
    : transport_(std::move(transport)), authority_(std::move(authority)), recycle_(std::move(recycle)) {
  transport_->set_owner(this);
}

Http1ClientConnection::~Http1ClientConnection() {
  if (!transport_) return;  // an upgraded connection's stream has it
  transport_->set_owner(nullptr);
  transport_->close();
}

void Http1ClientConnection::rest_until(Transport::Time deadline) {
  is_resting_ = true;
  transport_->set_deadline(deadline);
  transport_->arm_read();
}

bool Http1ClientConnection::wake_up() {
  is_resting_ = false;
  transport_->set_deadline(Transport::Time::max());
  transport_->forget_short_read();
  std::size_t length = 0;
  // A server has nothing to say before it is asked.
  if (transport_->read(Transport::scratch(), length) == Transport::Io::would_block) return true;
  transport_->close();
  return false;
}

void Http1ClientConnection::on_readable() {
  if (!is_resting_) return;
  std::size_t length = 0;
  if (transport_->read(Transport::scratch(), length) == Transport::Io::would_block)
    transport_->arm_read();  // a session ticket
  else
    transport_->close();
}

void Http1ClientConnection::queue_head(const ClientRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  if (!request.headers.get("host")) append_field(text, "host", authority_);
  append_fields(text, request.headers);
  const bool expects_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if ((expects_body || !request.body.empty()) && !request.headers.get("content-length"))
    append_field(text, "content-length", std::to_string(request.body.size()));
  text += "\r\n";
  transport_->queue(text);
}

Transport::Io Http1ClientConnection::pull() {
  std::size_t length = 0;
  const auto buffer = Transport::scratch();
  const auto got = transport_->read(buffer, length);
  in_.append(buffer.data(), length);
  if (length) has_response_bytes_ = true;
  return got;
}

// The body leaves behind the response's back: a server may answer while it still reads, and what it says
// counts even when it stops reading.
void Http1ClientConnection::pump_body() {
  while (body_sent_ < body_.size()) {
    const std::string_view piece = std::string_view(body_).substr(body_sent_, kPiece);
    transport_->queue(piece);
    body_sent_ += piece.size();
    if (body_sent_ < body_.size() && transport_->pending() < kHighWater) continue;
    const auto sent = transport_->flush();
    if (sent == Transport::Io::failed) break;
    if (sent == Transport::Io::would_block && transport_->pending() >= kHighWater) return;
  }
  transport_->flush();
  if (body_sent_ == body_.size()) {
    body_ = {};
    body_sent_ = 0;
  }
}

Task<Result<ResponseHead>> Http1ClientConnection::read_head(bool is_head) {
  for (;;) {
    if (!in_.empty()) {
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_head(in_));
      in_.erase(0, consumed);
      if (decoder_->is_head_done()) {
        ResponseHead head = decoder_->take_response();
        if (head.status >= 200 || head.status == 101) co_return head;
        decoder_ = Http1Decoder::for_response(kHeadLimit, is_head);  // 100, 102, 103: the real one follows
        continue;
      }
    }
    const auto got = pull();
    if (got == Transport::Io::ok) continue;
    if (got != Transport::Io::would_block) co_return connection_lost("no response before the server closed");
    const bool is_up = co_await transport_->wait_readable();
    if (is_up) continue;
    if (transport_->has_timed_out()) co_return Status{504, "Timeout", "no response within the time allowed"};
    co_return connection_lost("closed");
  }
}

Task<std::unique_ptr<ClientResponse>> Http1ClientConnection::send(ClientRequest request,
                                                                  std::chrono::milliseconds header_timeout,
                                                                  std::shared_ptr<Failure> failure) {
  auto self = shared_from_this();
  const bool is_head = request.method == "HEAD";
  decoder_ = Http1Decoder::for_response(kHeadLimit, is_head);
  has_response_bytes_ = false;
  if (header_timeout.count()) transport_->set_deadline(std::chrono::steady_clock::now() + header_timeout);
  queue_head(request);
  body_ = std::move(request.body);
  body_sent_ = 0;
  pump_body();
  Result<ResponseHead> head = co_await read_head(is_head);
  if (!head) {
    failure->status = head.error();
    failure->is_before_response = !has_response_bytes_ && !transport_->has_timed_out();
    transport_->close();
    co_return nullptr;
  }
  transport_->set_deadline(Transport::Time::max());
  co_return std::make_unique<Http1Response>(self, *std::move(head));
}

Task<Result<std::string>> Http1ClientConnection::read_body() {
  auto self = shared_from_this();
  std::string out;
  while (!decoder_->is_done()) {
    if (!in_.empty()) {
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_body(in_, out, kHighWater));
      in_.erase(0, consumed);
      if (!out.empty() || decoder_->is_done()) break;
    }
    std::size_t length = 0;
    const auto buffer = Transport::scratch();
    const auto got = transport_->read(buffer, length);
    if (got == Transport::Io::ok) {
      // Straight from the socket's bytes; only what is left over is kept.
      const std::string_view bytes(buffer.data(), length);
      std::string held = std::move(in_);
      in_.clear();
      if (!held.empty()) {
        in_ = held.append(bytes);
        continue;
      }
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_body(bytes, out, kHighWater));
      in_.assign(bytes.substr(consumed));
      if (!out.empty() || decoder_->is_done()) break;
      continue;
    }
    if (got == Transport::Io::end) {
      is_at_end_ = true;
      if (!decoder_->feed_end()) co_return connection_lost("the response ended too early");
      break;
    }
    if (got == Transport::Io::failed) co_return connection_lost("the response broke off");
    const bool is_up = co_await transport_->wait_readable();
    if (!is_up) co_return connection_lost("closed");
  }
  co_return out;
}

void Http1ClientConnection::finish_response() {
  if (is_at_end_ || !in_.empty() || !body_.empty() || transport_->pending() || !decoder_->is_keep_alive())
    return transport_->close();
  recycle_(shared_from_this());
}

}  // namespace rusternetes::http
