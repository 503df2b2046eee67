#include "http/streams/spdy_connection.h"

namespace rusternetes::http {
namespace {

constexpr std::uint32_t kLastId = 0x7fffffff;

Status refused() { return Status{500, "StreamReset", "the peer refused the stream"}; }

}  // namespace

std::shared_ptr<SpdyConnection> SpdyConnection::create(asio::any_io_executor executor,
                                                       std::unique_ptr<ByteStream> stream, Role role,
                                                       Options options) {
  return std::shared_ptr<SpdyConnection>(
      new SpdyConnection(std::move(executor), std::move(stream), role, std::move(options)));
}

SpdyConnection::SpdyConnection(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream, Role role,
                               Options options)
    : Multiplexer(executor, std::move(stream), options.bounds),
      role_(role),
      stream_limit_(options.streams),
      accepts_(std::move(options.accepts)),
      has_accepted_(executor),
      has_pong_(executor),
      next_id_(role == Role::client ? 1 : 2),
      next_ping_(role == Role::client ? 1 : 2) {}

Task<std::shared_ptr<MultiplexedStream>> SpdyConnection::accept(
    std::chrono::steady_clock::time_point deadline) {
  auto self = shared_from_this();
  while (accepted_.empty()) {
    if (!is_open()) co_return nullptr;
    const bool is_in_time = co_await has_accepted_.wait_until(deadline);
    if (!is_in_time) co_return nullptr;
  }
  auto stream = std::move(accepted_.front());
  accepted_.pop_front();
  co_return stream;
}

Task<Result<std::shared_ptr<MultiplexedStream>>> SpdyConnection::open(Headers headers) {
  auto self = shared_from_this();
  if (!is_open()) co_return why_closed();
  if (next_id_ > kLastId) co_return internal_error("SPDY: no stream id is left");
  const std::uint32_t id = next_id_;
  next_id_ += 2;
  auto opening = std::make_shared<Opening>(executor_);
  opening_[id] = opening;
  codec_.syn_stream(out_, id, headers);
  auto stream = add_stream(id, std::move(headers));
  wake_writer();
  while (is_open() && !opening->is_answered) co_await opening->changed.wait();
  opening_.erase(id);
  if (!opening->is_answered) co_return why_closed();
  if (opening->is_refused) co_return refused();
  co_return stream;
}

Task<Result<void>> SpdyConnection::ping() {
  auto self = shared_from_this();
  if (!is_open()) co_return why_closed();
  const std::uint32_t id = next_ping_;
  next_ping_ += 2;
  SpdyCodec::ping(out_, id);
  wake_writer();
  while (is_open() && answered_ping_ != id) co_await has_pong_.wait();
  if (answered_ping_ != id) co_return why_closed();
  co_return Result<void>{};
}

// --- what goes out

void SpdyConnection::encode_data(const State& stream, std::string_view bytes) {
  SpdyCodec::data(out_, stream.id, bytes, false);
}
void SpdyConnection::encode_end(const State& stream) { SpdyCodec::data(out_, stream.id, {}, true); }
void SpdyConnection::encode_reset(const State& stream) {
  SpdyCodec::rst_stream(out_, stream.id, SpdyReset::cancel);
}
void SpdyConnection::encode_goodbye() { SpdyCodec::goaway(out_, last_peer_id_, SpdyGoAway::ok); }

void SpdyConnection::on_closed() {
  // They hold the connection, which holds them.
  auto dropped = std::move(accepted_);
  accepted_.clear();
  has_accepted_.set();
  has_pong_.set();
  for (auto& [id, opening] : opening_) opening->changed.set();
}

// --- what comes in

Result<void> SpdyConnection::receive(std::string_view bytes) {
  auto fed = codec_.feed(bytes, *this);
  if (!fed && is_open()) SpdyCodec::goaway(out_, last_peer_id_, SpdyGoAway::protocol_error);
  return fed;
}

void SpdyConnection::on_syn_stream(std::uint32_t id, Headers headers, bool is_end) {
  if (!is_open()) return;
  const bool is_ours = (id % 2 == 1) == (role_ == Role::client);
  if (is_ours || id <= last_peer_id_) return SpdyCodec::rst_stream(out_, id, SpdyReset::protocol_error);
  last_peer_id_ = id;
  if (role_ == Role::client || stream_count() >= stream_limit_)
    return SpdyCodec::rst_stream(out_, id, SpdyReset::refused_stream);
  if (accepts_ && !accepts_(headers)) return SpdyCodec::rst_stream(out_, id, SpdyReset::cancel);
  auto stream = add_stream(id, std::move(headers));
  codec_.syn_reply(out_, id);
  if (is_end) deliver_end(*find_stream(id));
  accepted_.push_back(std::move(stream));
  has_accepted_.set();
}

void SpdyConnection::on_syn_reply(std::uint32_t id, bool is_end) {
  if (const auto opening = opening_.find(id); opening != opening_.end()) {
    opening->second->is_answered = true;
    opening->second->changed.set();
  }
  if (is_end) on_data(id, {}, true);
}

void SpdyConnection::on_headers(std::uint32_t id, bool is_end) {
  if (is_end) on_data(id, {}, true);
}

void SpdyConnection::on_rst_stream(std::uint32_t id) {
  if (const auto stream = find_stream(id)) deliver_reset(*stream);
  // It counts no more, so it must not wait for accept() either.
  std::erase_if(accepted_, [id](const auto& one) { return one->id() == id; });
  if (const auto opening = opening_.find(id); opening != opening_.end()) {
    opening->second->is_refused = !opening->second->is_answered;
    opening->second->is_answered = true;
    opening->second->changed.set();
  }
}

void SpdyConnection::on_ping(std::uint32_t id) {
  const bool is_ours = (id % 2 == 1) == (role_ == Role::client);
  if (!is_ours) return SpdyCodec::ping(out_, id);
  answered_ping_ = id;
  has_pong_.set();
}

// The sender takes and sends nothing more after its GOAWAY, as the library has it.
void SpdyConnection::on_goaway() {
  end(Status{503, "ConnectionLost", "connection lost: the peer has ended it"});
}

void SpdyConnection::on_data(std::uint32_t id, std::string_view bytes, bool is_end) {
  const auto stream = find_stream(id);
  if (!stream) return;  // it has ended here
  deliver(*stream, bytes);
  if (is_end) deliver_end(*stream);
}

}  // namespace rusternetes::http
