#include "http/client_http2.h"

#include <fmt/format.h>

#include <charconv>

namespace rusternetes::http {
namespace {

// Windows so large that a long list never waits for an update; the bound on what a reader that sleeps makes
// us hold.
constexpr std::int32_t kStreamWindow = 4 << 20;
constexpr std::int32_t kConnectionWindow = 1 << 30;
constexpr std::size_t kHeadLimit = 64 * 1024;
constexpr std::size_t kFieldOverhead = 32;
constexpr std::uint32_t kStreams = 100;  // on one connection, when the server allows more

}  // namespace

class Http2Response final : public ClientResponse {
 public:
  Http2Response(std::shared_ptr<Http2ClientConnection> connection, Http2ClientConnection::StreamPtr stream)
      : connection_(std::move(connection)), stream_(std::move(stream)) {}
  ~Http2Response() { connection_->abandon(*stream_); }

  const ResponseHead& head() const override { return stream_->head; }
  const Headers& trailers() const override { return stream_->trailers; }
  Task<Result<std::string>> read_some() override {
    auto connection = connection_;
    Result<std::string> piece = co_await connection->read_body(stream_);
    co_return piece;
  }
  Result<std::unique_ptr<ByteStream>> take_stream() override {
    return internal_error("an HTTP/2 response is not an upgrade");
  }

 private:
  std::shared_ptr<Http2ClientConnection> connection_;
  Http2ClientConnection::StreamPtr stream_;
};

Http2ClientConnection::Http2ClientConnection(std::shared_ptr<Transport> transport, std::string scheme,
                                             std::string authority, const ClientOptions& options)
    : Http2Session(std::move(transport), false),
      scheme_(std::move(scheme)),
      authority_(std::move(authority)),
      options_(options),
      idle_since_(std::chrono::steady_clock::now()),
      ready_(transport_->executor()) {}

void Http2ClientConnection::start() {
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
                                             {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kHeadLimit}};
  ::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  ::nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  start_reading();
}

Task<bool> Http2ClientConnection::wait_ready(std::chrono::milliseconds timeout) {
  auto connection = self();
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!has_settings_ && !is_lost()) {
    const bool is_in_time = co_await ready_.wait_until(deadline);
    if (!is_in_time) co_return false;
  }
  co_return has_settings_;
}

void Http2ClientConnection::on_settings() {
  has_settings_ = true;
  ready_.set();
}

bool Http2ClientConnection::has_room() const {
  const auto allowed =
      ::nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return is_usable() && streams_.size() < std::min(allowed, kStreams) &&
         ::nghttp2_session_check_request_allowed(session_);
}

Http2ClientConnection::StreamPtr Http2ClientConnection::submit(ClientRequest& request) {
  auto stream = std::make_shared<ClientStream>(transport_->executor());
  std::vector<nghttp2_nv> fields;
  fields.reserve(request.headers.fields().size() + 5);
  const auto host = request.headers.get("host");
  fields.push_back(name_value(":method", request.method));
  fields.push_back(name_value(":scheme", scheme_));
  fields.push_back(name_value(":authority", host ? *host : std::string_view(authority_)));
  fields.push_back(name_value(":path", request.target));
  for (const auto& [name, value] : request.headers.fields())
    if (!is_connection_field(name)) fields.push_back(name_value(name, value));
  const std::string length = std::to_string(request.body.size());
  if (!request.body.empty() && !request.headers.get("content-length"))
    fields.push_back(name_value("content-length", length));
  const bool has_body = !request.body.empty();
  const auto data = provider(*stream);
  stream->id = ::nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                        has_body ? &data : nullptr, stream.get());
  if (stream->id < 0) return nullptr;
  streams_.emplace(stream->id, stream);
  if (has_body) {
    std::vector<Slice> body;
    body.push_back(Slice::own(std::move(request.body)));
    add_data(*stream, std::move(body), true);
  }
  update_deadline();
  flush_soon();
  return stream;
}

Task<std::unique_ptr<ClientResponse>> Http2ClientConnection::send(ClientRequest request,
                                                                  std::shared_ptr<Failure> failure) {
  auto connection = self();
  auto stream = submit(request);
  if (!stream) {
    is_going_away_ = true;  // stream ids have run out
    failure->status = connection_lost("no more streams");
    failure->is_unprocessed = true;
    co_return nullptr;
  }
  auto response =
      std::make_unique<Http2Response>(connection, stream);  // abandons the stream if we are cancelled
  const auto deadline = options_.header_timeout.count()
                            ? std::chrono::steady_clock::now() + options_.header_timeout
                            : Time::max();
  while (!stream->has_head && !stream->is_closed) {
    const bool is_in_time = co_await stream->changed.wait_until(deadline);
    if (is_in_time) continue;
    failure->status = Status{504, "Timeout", "no response within the time allowed"};
    co_return nullptr;
  }
  if (!stream->has_head) {
    failure->status = broken(*stream);
    failure->is_unprocessed = stream->code == NGHTTP2_REFUSED_STREAM && !stream->is_lost;
    co_return nullptr;
  }
  co_return std::move(response);
}

Status Http2ClientConnection::broken(const ClientStream& stream) const {
  if (stream.is_lost) return connection_lost("closed");
  return connection_lost(fmt::format("stream reset: {}", ::nghttp2_http2_strerror(stream.code)));
}

Task<Result<std::string>> Http2ClientConnection::read_body(StreamPtr stream) {
  auto connection = self();
  for (;;) {
    if (!stream->body.empty()) {
      std::string piece = std::move(stream->body);
      stream->body.clear();
      if (!stream->is_closed && !is_lost()) {
        ::nghttp2_session_consume_stream(session_, stream->id, piece.size());
        flush_soon();
      }
      co_return piece;
    }
    if (stream->is_peer_done) co_return std::string();
    if (stream->is_closed) co_return broken(*stream);
    co_await stream->changed.wait();
  }
}

void Http2ClientConnection::abandon(ClientStream& stream) {
  if (stream.is_closed || is_lost()) return;
  ::nghttp2_session_set_stream_user_data(session_, stream.id, nullptr);
  ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
  // nghttp2 still points to it for its body, so the entry stays until the stream is closed.
  stream.body = {};
  flush_soon();
}

void Http2ClientConnection::on_headers_begin(std::int32_t, nghttp2_headers_category) {}

void Http2ClientConnection::on_header(std::int32_t id, std::string_view name, std::string_view value) {
  auto* to = stream(id);
  if (!to || to->head_bytes > kHeadLimit) return;
  // nghttp2 tells the peer our limit and does not hold it to it: a few bytes on the wire may stand for a long field.
  to->head_bytes += name.size() + value.size() + kFieldOverhead;
  if (to->head_bytes > kHeadLimit) {
    ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    return flush_soon();
  }
  if (to->has_head)
    to->trailers.add(std::string(name), std::string(value));
  else if (name == ":status")
    std::from_chars(value.data(), value.data() + value.size(), to->head.status);
  else
    to->head.headers.add(std::string(name), std::string(value));
}

void Http2ClientConnection::on_headers_end(std::int32_t id, nghttp2_headers_category) {
  auto* to = stream(id);
  if (!to || to->has_head || to->head_bytes > kHeadLimit) return;
  if (to->head.status < 200) {
    to->head = {};
    return;
  }
  to->has_head = true;
  to->changed.set();
}

void Http2ClientConnection::on_data(std::int32_t id, std::string_view bytes) {
  auto* to = stream(id);
  if (!to) return;
  to->body.append(bytes);
  to->changed.set();
}

void Http2ClientConnection::on_peer_end(std::int32_t id) {
  auto* to = stream(id);
  if (!to) return;
  to->is_peer_done = true;
  to->changed.set();
}

void Http2ClientConnection::on_stream_closed(std::int32_t id, std::uint32_t code) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  auto closed = found->second;
  streams_.erase(found);
  if (streams_.empty()) idle_since_ = std::chrono::steady_clock::now();
  closed->is_closed = true;
  closed->code = code;
  closed->changed.set();
}

void Http2ClientConnection::on_goaway(std::int32_t) { is_going_away_ = true; }
void Http2ClientConnection::on_ping_ack() { ping_sent_.reset(); }

void Http2ClientConnection::on_lost() {
  ready_.set();
  for (auto& [id, each] : std::exchange(streams_, {})) {
    each->is_closed = true;
    each->is_lost = true;
    each->changed.set();
  }
}

Http2ClientConnection::Time Http2ClientConnection::next_deadline() {
  Time next = ping_sent_ ? *ping_sent_ + options_.ping_interval : last_received_ + options_.ping_interval;
  if (options_.ping_interval.count() == 0) next = Time::max();
  if (streams_.empty()) next = std::min(next, idle_since_ + options_.idle_timeout);
  return next;
}

void Http2ClientConnection::on_timeout() {
  const auto now = std::chrono::steady_clock::now();
  if (ping_sent_ && last_received_ > *ping_sent_) ping_sent_.reset();
  if (streams_.empty() && now >= idle_since_ + options_.idle_timeout) {
    is_going_away_ = true;
    ::nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
  } else if (ping_sent_) {
    if (now >= *ping_sent_ + options_.ping_interval) return lose();
  } else if (options_.ping_interval.count() && now >= last_received_ + options_.ping_interval) {
    ::nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    ping_sent_ = now;
  }
  update_deadline();
  flush_soon();
}

}  // namespace rusternetes::http
