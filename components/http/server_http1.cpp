#include "http/server_http1.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/stream.h"

namespace rusternetes::http {
namespace {

constexpr std::size_t kHighWater = 256 * 1024;  // unsent bytes of a response before its writer waits
constexpr std::size_t kFlushAt = 128 * 1024;
constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kPipelined = 64 * 1024;            // of requests that come while one runs
constexpr std::size_t kSwallowed = 256 * 1024;           // of a body nobody read, to keep the connection
constexpr std::chrono::milliseconds kFirstRequest{500};  // of a new connection while the server drains
// While it drains an idle connection stays for so long: a client that asks all the time has its next request on the
// way, and hears with the answer that the connection ends. Closed under it, the request would be lost.
constexpr std::chrono::milliseconds kLastRequest{250};

Transport::Time now() { return std::chrono::steady_clock::now(); }

}  // namespace

class Http1Exchange final : public ServerExchange {
 public:
  Http1Exchange(std::shared_ptr<Http1ServerConnection> connection, RequestHead head)
      : ServerExchange(connection->core_, connection->transport_->executor(), connection->peer_,
                       std::move(head)),
        connection_(std::move(connection)) {
    is_http10_ = connection_->decoder_->is_http10();
    is_keep_alive_ = connection_->decoder_->is_keep_alive();
    const auto expect = head_.headers.get("expect");
    must_continue_ = expect && *expect == "100-continue" && !is_http10_;
  }

  std::string_view protocol() const override { return is_http10_ ? "HTTP/1.0" : "HTTP/1.1"; }
  bool may_go_on() const { return is_finished_ && is_keep_alive_; }

  Task<Result<std::string>> read_some() override {
    auto connection = connection_;
    if (connection->is_upgraded_) co_return internal_error("the connection was handed over");
    if (must_continue_ && !has_begun_) connection->transport_->queue("HTTP/1.1 100 Continue\r\n\r\n");
    must_continue_ = false;
    Result<std::string> piece = co_await connection->read_body_piece(body_deadline_);
    co_return piece;
  }

  Task<Result<void>> respond(ResponseHead head, std::vector<Slice> body) override {
    if (has_begun_) co_return already_begun();
    auto connection = connection_;
    std::size_t size = 0;
    for (const auto& slice : body) size += slice.bytes.size();
    if (is_bodiless(head.status)) size = 0;
    if (!is_bodiless(head.status) || head.status == 304) {
      if (size || !(is_head_request() || head.status == 304) || !head.headers.get("content-length"))
        head.headers.set("content-length", std::to_string(size));
    }
    if (is_bodiless(head.status) && head.status != 304) head.headers.remove("content-length");
    queue_head(std::move(head), false);
    is_finished_ = true;
    if (is_head_request() || size == 0) body.clear();
    Result<void> sent = co_await connection->push(std::move(body));
    connection->transport_->flush();
    connection->watch_writing();
    co_return sent;
  }

  Task<Result<void>> begin(ResponseHead head) override {
    if (has_begun_) co_return already_begun();
    is_chunked_ = !is_bodiless(head.status) && !head.headers.get("content-length") && !is_http10_;
    has_body_ = !is_bodiless(head.status) && !is_head_request();
    if (is_http10_ && !head.headers.get("content-length")) is_keep_alive_ = false;
    queue_head(std::move(head), is_chunked_);
    if (!connection_->transport_->is_open()) co_return client_gone();
    connection_->transport_->flush_soon();
    co_return Result<void>{};
  }

  Task<Result<void>> write(std::vector<Slice> body) override {
    if (!has_begun_ || is_finished_) co_return internal_error("write() outside of a response");
    auto connection = connection_;
    std::size_t size = 0;
    for (const auto& slice : body) size += slice.bytes.size();
    if (size == 0 || !has_body_) co_return Result<void>{};
    if (is_chunked_) {
      body.insert(body.begin(), Slice::own(fmt::format("{:x}\r\n", size)));
      body.push_back(Slice::literal("\r\n"));
    }
    Result<void> sent = co_await connection->push(std::move(body));
    connection->transport_->flush_soon();
    connection->watch_writing();
    co_return sent;
  }

  Task<Result<void>> finish() override {
    if (!has_begun_ || is_finished_) co_return internal_error("finish() outside of a response");
    is_finished_ = true;
    std::vector<Slice> last;
    if (is_chunked_ && has_body_) last.push_back(Slice::literal("0\r\n\r\n"));
    auto connection = connection_;
    Result<void> sent = co_await connection->push(std::move(last));
    connection->transport_->flush();
    connection->watch_writing();
    co_return sent;
  }

  Task<Result<std::unique_ptr<ByteStream>>> upgrade(ResponseHead head) override;

 protected:
  void send_error(int status, std::string_view text) override {
    ResponseHead head{status, {}};
    head.headers.add("content-type", "text/plain; charset=utf-8");
    head.headers.add("content-length", std::to_string(text.size()));
    queue_head(std::move(head), false);
    if (!is_head_request()) connection_->transport_->queue(text);
    connection_->transport_->flush();
    is_finished_ = true;
  }
  void abort_response() override { connection_->close(); }
  void on_handler_ended() override { connection_->changed_.set(); }
  std::optional<std::uint64_t> content_length() const override {
    return connection_->decoder_->content_length();
  }

 private:
  void queue_head(ResponseHead head, bool is_chunked) {
    has_begun_ = true;
    const auto wanted = head.headers.get("connection");
    if (core_->is_draining || (wanted && *wanted == "close")) is_keep_alive_ = false;
    // A client that still waits for "100 Continue" may or may not send its body now.
    if (must_continue_ && !connection_->decoder_->is_done()) is_keep_alive_ = false;
    if (head.status != 101) {
      head.headers.remove("connection");
      if (!is_keep_alive_)
        head.headers.add("connection", "close");
      else if (is_http10_)
        head.headers.add("connection", "keep-alive");
    }
    if (is_chunked) head.headers.set("transfer-encoding", "chunked");
    add_date(head);
    std::string text;
    text.reserve(256);
    append_status_line(text, head.status);
    append_fields(text, head.headers);
    text += "\r\n";
    connection_->transport_->queue(text);
  }

  std::shared_ptr<Http1ServerConnection> connection_;
  bool is_http10_ = false;
  bool is_keep_alive_ = false;
  bool must_continue_ = false;
  bool is_chunked_ = false;
  bool has_body_ = false;
};

Task<Result<std::unique_ptr<ByteStream>>> Http1Exchange::upgrade(ResponseHead head) {
  if (has_begun_) co_return already_begun();
  auto connection = connection_;
  if (!connection->transport_->is_open()) co_return client_gone();
  connection->is_watching_peer_ = false;
  connection->is_upgraded_ = connection->is_stream_alive_ = true;
  connection->set_read_deadline(Transport::Time::max());
  queue_head(std::move(head), false);
  is_finished_ = true;
  connection->transport_->flush_soon();
  // run() ends when the stream does.
  std::shared_ptr<void> keep(nullptr, [connection](void*) {
    connection->is_stream_alive_ = false;
    connection->changed_.set();
  });
  // A person who reads slowly (`kubectl exec … | less`) may take no byte for hours; who is gone is found by TCP's keepalive.
  co_return make_stream(connection->transport_, std::move(connection->in_), std::move(keep));
}

Http1ServerConnection::Http1ServerConnection(std::shared_ptr<ServerCore> core,
                                             std::shared_ptr<Transport> transport,
                                             std::shared_ptr<const Peer> peer, std::string already_read)
    : core_(std::move(core)),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      in_(std::move(already_read)),
      changed_(transport_->executor()) {
  transport_->set_owner(this);
}

Http1ServerConnection::~Http1ServerConnection() {
  if (!is_upgraded_) transport_->set_owner(nullptr);
  transport_->close();
}

Task<> Http1ServerConnection::run() {
  auto self = shared_from_this();
  for (;;) {
    const bool has_request = co_await read_request();
    if (!has_request) break;
    const bool goes_on = co_await serve();
    if (!goes_on) break;
  }
  exchange_.reset();
  while (is_stream_alive_) co_await changed_.wait();
  if (is_upgraded_ || !transport_->is_open()) co_return;
  set_read_deadline(Time::max());
  if (must_linger_) {
    co_await transport_->linger();
  } else {
    Result<void> ended = co_await transport_->shutdown_write();
    if (!ended && !transport_->has_timed_out()) transport_->close();
  }
  transport_->close();
}

Transport::Io Http1ServerConnection::pull() {
  std::size_t length = 0;
  const auto buffer = Transport::scratch();
  const auto got = transport_->read(buffer, length);
  in_.append(buffer.data(), length);
  return got;
}

Task<bool> Http1ServerConnection::read_request() {
  decoder_ = Http1Decoder::for_request(core_->limits.header_bytes);
  is_between_requests_ = true;
  set_read_deadline(now() + (has_served_ ? core_->limits.idle_timeout : core_->limits.header_timeout));
  for (;;) {
    if (!in_.empty()) {
      if (is_between_requests_) set_read_deadline(now() + core_->limits.header_timeout);
      is_between_requests_ = false;
      auto consumed = decoder_->feed_head(in_);
      if (!consumed) {
        refuse(consumed.error().code, consumed.error().message);
        co_return false;
      }
      in_.erase(0, *consumed);
      if (decoder_->is_head_done()) break;
    }
    const auto got = pull();
    if (got == Transport::Io::ok) continue;
    if (got != Transport::Io::would_block) co_return false;
    if (core_->is_draining && in_.empty()) {
      set_read_deadline(std::min(read_deadline_, now() + (has_served_ ? kLastRequest : kFirstRequest)));
    }
    const bool is_up = co_await transport_->wait_readable();
    if (!is_up) co_return false;
  }
  is_between_requests_ = false;
  set_read_deadline(Time::max());
  co_return true;
}

Task<bool> Http1ServerConnection::serve() {
  RequestHead head = decoder_->take_request();
  has_served_ = true;
  if (head.method == "CONNECT") {
    refuse(405, "CONNECT is not served");
    co_return false;
  }
  const std::size_t hosts = head.headers.all("host").size();
  std::string_view fault = fault_of(head);
  if (fault.empty() && (hosts > 1 || (hosts == 0 && !decoder_->is_http10())))
    fault = "there must be one Host field";
  if (!fault.empty()) {
    refuse(400, fault);
    co_return false;
  }
  exchange_ = std::make_shared<Http1Exchange>(shared_from_this(), std::move(head));
  if (decoder_->is_done()) watch_peer();
  exchange_->start();
  while (exchange_->is_running()) co_await changed_.wait();
  is_watching_peer_ = false;
  if (is_upgraded_) co_return false;
  if (!decoder_->is_done()) must_linger_ = true;
  if (!exchange_->may_go_on() || !transport_->is_open()) co_return false;
  exchange_.reset();
  if (decoder_->is_done()) co_return true;
  const bool is_swallowed = co_await swallow_body();
  must_linger_ = !is_swallowed;
  co_return is_swallowed;
}

// What is left of a small body that the handler did not want, so that the connection can go on.
Task<bool> Http1ServerConnection::swallow_body() {
  transport_->flush();
  for (std::size_t total = 0; total < kSwallowed;) {
    Result<std::string> piece = co_await read_body_piece();
    if (!piece) co_return false;
    if (piece->empty()) co_return true;
    total += piece->size();
  }
  co_return false;
}

void Http1ServerConnection::refuse(int status, std::string_view text) {
  std::string answer;
  append_status_line(answer, status);
  append_field(answer, "content-type", "text/plain; charset=utf-8");
  append_field(answer, "content-length", std::to_string(text.size() + 1));
  append_field(answer, "date", http_date());
  answer.append("connection: close\r\n\r\n").append(text).append("\n");
  transport_->queue(answer);
  must_linger_ = true;
}

Task<Result<std::string>> Http1ServerConnection::read_body_piece(Time deadline) {
  auto self = shared_from_this();
  std::string out;
  while (!decoder_->is_done()) {
    if (!in_.empty()) {
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_body(in_, out, kHighWater));
      in_.erase(0, consumed);
      if (!out.empty() || decoder_->is_done()) break;
    }
    transport_->flush();  // a 100 Continue
    std::size_t length = 0;
    const auto buffer = Transport::scratch();
    const auto got = transport_->read(buffer, length);
    if (got == Transport::Io::ok) {
      const std::string_view bytes(buffer.data(), length);
      if (!in_.empty()) {
        in_.append(bytes);
        continue;
      }
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_body(bytes, out, kHighWater));
      in_.assign(bytes.substr(consumed));
      if (!out.empty()) break;
      continue;
    }
    if (got != Transport::Io::would_block)
      co_return Status{400, "BadRequest", "the request's body ended too early"};
    set_read_deadline(now() + core_->limits.idle_timeout);
    const bool is_up = co_await transport_->wait_readable(deadline);
    if (!is_up) co_return client_gone();
    if (now() >= deadline) co_return body_too_slow();
  }
  set_read_deadline(Time::max());
  if (decoder_->is_done()) watch_peer();
  co_return out;
}

Task<Result<void>> Http1ServerConnection::push(std::vector<Slice> slices) {
  auto self = shared_from_this();
  for (const auto& slice : slices) {
    std::string_view rest = slice.bytes;
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, kPiece);
      rest.remove_prefix(piece.size());
      transport_->queue(piece);
      if (transport_->pending() < kFlushAt) continue;
      if (transport_->flush() == Transport::Io::failed) co_return client_gone();
      if (transport_->pending() <= kHighWater) continue;
      watch_writing();
      const bool is_sent = co_await transport_->wait_pending(kFlushAt);
      if (!is_sent) co_return client_gone();
    }
  }
  if (!transport_->is_open()) co_return client_gone();
  co_return Result<void>{};
}

// From the end of the request's body on: whether the client is still there, while the handler has nothing to
// say.
void Http1ServerConnection::watch_peer() {
  if (is_watching_peer_ || !exchange_ || is_upgraded_) return;
  is_watching_peer_ = true;
  on_readable();
}

void Http1ServerConnection::on_readable() {
  if (!is_watching_peer_) return;
  auto self = shared_from_this();
  while (in_.size() < kPipelined) {
    const auto got = pull();
    if (got == Transport::Io::ok) continue;
    if (got == Transport::Io::would_block) return transport_->arm_read();
    is_watching_peer_ = false;
    if (exchange_) exchange_->cancel();
    return;
  }
}

void Http1ServerConnection::set_read_deadline(Time deadline) {
  read_deadline_ = deadline;
  update_deadline();
}

void Http1ServerConnection::watch_writing() {
  if (!transport_->pending()) return;
  write_since_ = now();
  update_deadline();
}

void Http1ServerConnection::update_deadline() {
  if (is_upgraded_) return;
  Time next = read_deadline_;
  if (transport_->pending())
    next = std::min(next, std::max(write_since_, transport_->last_progress()) + core_->limits.write_timeout);
  transport_->set_deadline(next);
}

void Http1ServerConnection::on_timeout() {
  const Time at = now();
  const bool is_stuck = transport_->pending() && at >= std::max(write_since_, transport_->last_progress()) +
                                                           core_->limits.write_timeout;
  if (at < read_deadline_ && !is_stuck) return update_deadline();
  close();
}

void Http1ServerConnection::drain() {
  if (!is_between_requests_ || !in_.empty()) return;
  transport_->forget_short_read();
  transport_->wake_reader();
}

void Http1ServerConnection::close() {
  auto self = shared_from_this();
  transport_->close();
  if (exchange_) exchange_->cancel();
}

}  // namespace rusternetes::http
