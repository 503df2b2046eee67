#include "http/server_http2.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/http1_codec.h"

namespace rusternetes::http {
namespace {

constexpr std::size_t kHighWater = 256 * 1024;      // of a stream, before its writer waits
constexpr std::int32_t kStreamWindow = 256 * 1024;  // of a request's body that nobody has read
// All streams' windows together: only a stream's own window ever holds a sender back.
constexpr std::int32_t kConnectionWindow = 32 << 20;
constexpr std::size_t kFieldOverhead = 32;   // RFC 9113, 6.5.2
constexpr std::chrono::seconds kGoodbye{1};  // for the answer to the first GOAWAY's PING

Transport::Time now() { return std::chrono::steady_clock::now(); }

}  // namespace

class Http2Exchange final : public ServerExchange, public Http2Session::Stream {
 public:
  Http2Exchange(std::shared_ptr<Http2ServerConnection> connection, std::int32_t stream_id, RequestHead head)
      : ServerExchange(connection->core_, connection->transport_->executor(), connection->peer_,
                       std::move(head)),
        connection_(std::move(connection)) {
    id = stream_id;
    const auto expect = head_.headers.get("expect");
    must_continue_ = expect && *expect == "100-continue";
  }

  std::string_view protocol() const override { return "HTTP/2.0"; }
  Task<Result<std::string>> read_some() override;
  Task<Result<void>> respond(ResponseHead head, std::vector<Slice> body) override;
  Task<Result<void>> begin(ResponseHead head) override;
  Task<Result<void>> write(std::vector<Slice> body) override;
  Task<Result<void>> finish() override;
  Task<Result<std::unique_ptr<ByteStream>>> upgrade(ResponseHead) override {
    co_return internal_error("HTTP/2 has no upgrade");
  }

  // From the connection.
  void take_body(std::string_view bytes) {
    body_.append(bytes);
    wake(readable_);
  }
  void take_end() {
    is_peer_done_ = true;
    wake(readable_);
  }
  bool is_peer_done() const { return is_peer_done_; }
  void take_close() {
    is_closed = true;
    wake(readable_);
    wake(writable_);
    if (!is_finished_ || out_bytes) cancel();
  }
  void on_out_progress() override {
    if (out_bytes <= kHighWater / 2) wake(writable_);
  }

 protected:
  void send_error(int status, std::string_view text) override {
    ResponseHead head{status, {}};
    head.headers.add("content-type", "text/plain; charset=utf-8");
    head.headers.add("content-length", std::to_string(text.size()));
    submit(std::move(head), !is_head_request());
    std::vector<Slice> body;
    body.push_back(Slice::own(std::string(text)));
    if (!is_head_request()) connection_->add_data(*this, std::move(body), true);
    is_finished_ = true;
  }
  void abort_response() override { connection_->reset(*this, NGHTTP2_INTERNAL_ERROR); }
  void on_handler_ended() override { connection_->on_exchange_ended(); }
  std::optional<std::uint64_t> content_length() const override {
    const auto field = head_.headers.get("content-length");
    std::uint64_t length = 0;
    if (!field || std::from_chars(field->data(), field->data() + field->size(), length).ec != std::errc{})
      return std::nullopt;
    return length;
  }

 private:
  // Events are made when somebody waits: most requests never do.
  AsyncEvent& event(std::optional<AsyncEvent>& which) {
    if (!which) which.emplace(executor_);
    return *which;
  }
  static void wake(std::optional<AsyncEvent>& which) {
    if (which) which->set();
  }
  bool is_gone() const { return is_closed || connection_->is_lost(); }
  void submit(ResponseHead head, bool has_body);
  Task<Result<void>> wait_for_room();

  std::shared_ptr<Http2ServerConnection> connection_;
  std::string body_;
  std::optional<AsyncEvent> readable_;
  std::optional<AsyncEvent> writable_;
  bool is_peer_done_ = false;
  bool must_continue_ = false;
  bool has_body_ = false;
};

Task<Result<std::string>> Http2Exchange::read_some() {
  auto self = shared_from_this();
  if (must_continue_ && !has_begun_ && !is_gone()) {
    const nghttp2_nv status = name_value(":status", "100");
    ::nghttp2_submit_headers(connection_->session_, NGHTTP2_FLAG_NONE, id, nullptr, &status, 1, nullptr);
    connection_->flush_soon();
  }
  must_continue_ = false;
  for (;;) {
    if (!body_.empty()) {
      std::string piece = std::move(body_);
      body_.clear();
      if (!is_gone()) {
        ::nghttp2_session_consume_stream(connection_->session_, id, piece.size());
        connection_->flush_soon();
      }
      co_return piece;
    }
    if (is_peer_done_) co_return std::string();
    if (is_gone()) co_return client_gone();
    const bool is_woken = co_await event(readable_).wait_until(body_deadline_);
    if (!is_woken) co_return body_too_slow();
  }
}

void Http2Exchange::submit(ResponseHead head, bool has_body) {
  has_begun_ = true;
  has_body_ = has_body;
  if (is_gone()) return;
  add_date(head);
  const std::string status = std::to_string(head.status);
  std::vector<nghttp2_nv> fields;
  fields.reserve(head.headers.fields().size() + 1);
  fields.push_back(name_value(":status", status));
  for (const auto& [name, value] : head.headers.fields())
    if (!is_connection_field(name)) fields.push_back(name_value(name, value));
  const auto data = connection_->provider(*this);
  if (::nghttp2_submit_response(connection_->session_, id, fields.data(), fields.size(),
                                has_body ? &data : nullptr))
    connection_->reset(*this, NGHTTP2_INTERNAL_ERROR);
  connection_->flush_soon();
}

Task<Result<void>> Http2Exchange::respond(ResponseHead head, std::vector<Slice> body) {
  if (has_begun_) co_return already_begun();
  auto self = shared_from_this();
  std::size_t size = 0;
  for (const auto& slice : body) size += slice.bytes.size();
  const bool is_empty = is_bodiless(head.status);
  if (is_empty && head.status != 304)
    head.headers.remove("content-length");
  else if (!is_empty && (size || !is_head_request() || !head.headers.get("content-length")))
    head.headers.set("content-length", std::to_string(size));
  const bool has_body = !is_empty && !is_head_request() && size;
  submit(std::move(head), has_body);
  is_finished_ = true;
  if (is_gone()) co_return client_gone();
  if (!has_body) co_return Result<void>{};
  connection_->add_data(*this, std::move(body), true);
  if (out_bytes <= kHighWater) co_return Result<void>{};
  Result<void> room = co_await wait_for_room();
  co_return room;
}

Task<Result<void>> Http2Exchange::begin(ResponseHead head) {
  if (has_begun_) co_return already_begun();
  const bool has_body = !is_bodiless(head.status) && !is_head_request();
  submit(std::move(head), has_body);
  if (is_gone()) co_return client_gone();
  co_return Result<void>{};
}

Task<Result<void>> Http2Exchange::write(std::vector<Slice> body) {
  if (!has_begun_ || is_finished_) co_return internal_error("write() outside of a response");
  if (is_gone()) co_return client_gone();
  if (!has_body_) co_return Result<void>{};
  auto self = shared_from_this();
  connection_->add_data(*this, std::move(body), false);
  if (out_bytes <= kHighWater) co_return Result<void>{};
  Result<void> room = co_await wait_for_room();
  co_return room;
}

Task<Result<void>> Http2Exchange::finish() {
  if (!has_begun_ || is_finished_) co_return internal_error("finish() outside of a response");
  is_finished_ = true;
  if (is_gone()) co_return client_gone();
  if (has_body_) connection_->add_data(*this, {}, true);
  co_return Result<void>{};
}

// Until little is left to send. A peer that opens no window for the write timeout loses the stream.
Task<Result<void>> Http2Exchange::wait_for_room() {
  while (out_bytes > kHighWater / 2) {
    if (is_gone()) co_return client_gone();
    const auto deadline = last_progress + core_->limits.write_timeout;
    if (now() >= deadline) {
      connection_->reset(*this, NGHTTP2_CANCEL);
      co_return client_gone();
    }
    co_await event(writable_).wait_until(deadline);
  }
  co_return Result<void>{};
}

// --- the connection

Http2ServerConnection::Http2ServerConnection(std::shared_ptr<ServerCore> core,
                                             std::shared_ptr<Transport> transport,
                                             std::shared_ptr<const Peer> peer)
    : Http2Session(std::move(transport), true),
      core_(std::move(core)),
      peer_(std::move(peer)),
      changed_(transport_->executor()),
      idle_since_(now()),
      head_since_(now()) {}

Task<> Http2ServerConnection::run(std::string already_read) {
  auto connection = self();
  const auto header_limit =
      static_cast<std::uint32_t>(std::min<std::size_t>(core_->limits.header_bytes, UINT32_MAX));
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, core_->limits.concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_limit}};
  ::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  ::nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  const ssize_t taken =
      already_read.empty()
          ? 0
          : ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(already_read.data()),
                                       already_read.size());
  if (taken < 0) lose();
  if (!is_lost()) start_reading();
  if (core_->is_draining) drain();
  while (!is_over_ && !is_lost()) co_await changed_.wait();
  if (!is_lost()) {
    co_await transport_->linger();
    lose();
  }
  while (running_) co_await changed_.wait();
}

void Http2ServerConnection::on_headers_begin(std::int32_t id, nghttp2_headers_category category) {
  head_since_ = now();
  if (category != NGHTTP2_HCAT_REQUEST) return;
  incoming_ = std::make_unique<Incoming>();
  incoming_id_ = id;
}

void Http2ServerConnection::on_header(std::int32_t id, std::string_view name, std::string_view value) {
  if (!incoming_ || incoming_id_ != id) return;  // a trailer
  auto& incoming = *incoming_;
  incoming.size += name.size() + value.size() + kFieldOverhead;
  if (incoming.size > core_->limits.header_bytes) {
    incoming.is_too_large = true;
    return;
  }
  if (!name.starts_with(':')) return incoming.head.headers.add(std::string(name), std::string(value));
  if (name == ":method") incoming.head.method = value;
  if (name == ":path") incoming.head.target = value;
  if (name == ":authority") incoming.head.authority = value;
}

void Http2ServerConnection::on_settings() {
  if (!incoming_) head_since_ = Time::max();
}

void Http2ServerConnection::on_headers_end(std::int32_t id, nghttp2_headers_category category) {
  head_since_ = Time::max();
  if (category == NGHTTP2_HCAT_REQUEST && incoming_ && incoming_id_ == id) open_exchange(id);
  incoming_.reset();
}

void Http2ServerConnection::open_exchange(std::int32_t id) {
  auto& head = incoming_->head;
  if (incoming_->is_too_large) return refuse(id, 431, "request header fields too large\n");
  if (head.method == "CONNECT") return refuse(id, 405, "CONNECT is not served\n");
  if (head.authority.empty())
    if (const auto host = head.headers.get("host")) head.authority = *host;
  if (!fault_of(head).empty()) return refuse(id, 400, "the target is not a path\n");
  // Streams that were opened and reset at once still have a handler that has to end.
  if (running_ >= 2 * core_->limits.concurrent_streams + 16) {
    ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  auto exchange = std::make_shared<Http2Exchange>(self(), id, std::move(head));
  ::nghttp2_session_set_stream_user_data(session_, id, static_cast<Stream*>(exchange.get()));
  exchanges_.emplace(id, exchange);
  ++running_;
  exchange->start();
}

// An answer without an exchange.
void Http2ServerConnection::refuse(std::int32_t id, int status, std::string_view text) {
  const std::string code = std::to_string(status), length = std::to_string(text.size());
  const nghttp2_nv fields[] = {name_value(":status", code),
                               name_value("content-type", "text/plain; charset=utf-8"),
                               name_value("content-length", length)};
  nghttp2_data_provider data{};
  data.source.ptr = const_cast<char*>(text.data());  // a literal, with its terminator
  data.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                          std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
    const std::string_view all(static_cast<const char*>(source->ptr));
    const std::size_t n = std::min(room, all.size());
    std::copy_n(all.data(), n, to);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  };
  ::nghttp2_submit_response(session_, id, fields, std::size(fields), &data);
}

void Http2ServerConnection::on_data(std::int32_t id, std::string_view bytes) {
  if (auto found = exchanges_.find(id); found != exchanges_.end()) found->second->take_body(bytes);
}

void Http2ServerConnection::on_peer_end(std::int32_t id) {
  if (auto found = exchanges_.find(id); found != exchanges_.end()) found->second->take_end();
}

// RFC 9113, 8.1: a request whose answer is complete need not be sent to its end.
void Http2ServerConnection::on_stream_out_sent(std::int32_t id) {
  if (::nghttp2_session_get_stream_remote_close(session_, id) == 0)
    ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
}

void Http2ServerConnection::on_stream_closed(std::int32_t id, std::uint32_t) {
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return;
  auto exchange = found->second;
  exchanges_.erase(found);
  if (exchanges_.empty()) idle_since_ = now();
  exchange->take_close();
}

void Http2ServerConnection::on_exchange_ended() {
  --running_;
  changed_.set();
}

void Http2ServerConnection::on_lost() {
  for (auto& [id, exchange] : std::exchange(exchanges_, {})) exchange->take_close();
  changed_.set();
}

void Http2ServerConnection::on_finished() {
  is_over_ = true;
  changed_.set();
}

// First a GOAWAY that refuses nothing, so that requests on their way still count; the real one when the
// client has seen it (RFC 9113, 6.8).
void Http2ServerConnection::drain() {
  if (is_draining_ || is_lost()) return;
  is_draining_ = true;
  goodbye_at_ = now() + kGoodbye;
  ::nghttp2_submit_shutdown_notice(session_);
  ::nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  update_deadline();
  flush_soon();
}

void Http2ServerConnection::on_ping_ack() {
  if (is_draining_) say_goodbye();
}

void Http2ServerConnection::say_goodbye() {
  if (goodbye_at_ == Time::max()) return;
  goodbye_at_ = Time::max();
  ::nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, ::nghttp2_session_get_last_proc_stream_id(session_),
                          NGHTTP2_NO_ERROR, nullptr, 0);
  flush_soon();
}

Http2ServerConnection::Time Http2ServerConnection::next_deadline() {
  Time next = goodbye_at_;
  if (transport_->pending()) next = std::min(next, transport_->last_progress() + core_->limits.write_timeout);
  if (head_since_ != Time::max()) next = std::min(next, head_since_ + core_->limits.header_timeout);
  if (exchanges_.empty()) next = std::min(next, idle_since_ + core_->limits.idle_timeout);
  return next;
}

void Http2ServerConnection::on_timeout() {
  auto connection = self();
  const Time at = now();
  if (at >= goodbye_at_) say_goodbye();
  if (transport_->pending() && at >= transport_->last_progress() + core_->limits.write_timeout) return lose();
  if (head_since_ != Time::max() && at >= head_since_ + core_->limits.header_timeout) return lose();
  if (exchanges_.empty() && at >= idle_since_ + core_->limits.idle_timeout) {
    ::nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    idle_since_ = at;
    flush_soon();
  }
  update_deadline();
}

}  // namespace rusternetes::http
