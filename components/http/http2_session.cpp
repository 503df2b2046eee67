#include "http/http2_session.h"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace rusternetes::http {
namespace {

constexpr std::size_t kHighWater = 192 * 1024;  // of encrypted bytes that the kernel has not taken
constexpr int kReadsATurn = 32;
constexpr int kFlushesATurn = 4;

std::string_view text(const std::uint8_t* bytes, std::size_t length) {
  return {reinterpret_cast<const char*>(bytes), length};
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS)
      self(user).on_headers_begin(frame->hd.stream_id, frame->headers.cat);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_length, const std::uint8_t* value, std::size_t value_length,
                    std::uint8_t, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS)
      self(user).on_header(frame->hd.stream_id, text(name, name_length), text(value, value_length));
    return 0;
  }
  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& session = self(user);
    const bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (frame->hd.type == NGHTTP2_HEADERS) session.on_headers_end(frame->hd.stream_id, frame->headers.cat);
    if (is_message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) session.on_peer_end(frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) session.on_goaway(frame->goaway.last_stream_id);
    if (frame->hd.type == NGHTTP2_SETTINGS) session.on_settings();
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) session.on_ping_ack();
    return 0;
  }
  static int data(nghttp2_session* raw, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                  std::size_t length, void* user) {
    // The connection's window is for all streams: only a stream's own window holds its sender back.
    ::nghttp2_session_consume_connection(raw, length);
    self(user).on_data(id, text(bytes, length));
    return 0;
  }
  static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    self(user).on_stream_closed(id, code);
    return 0;
  }
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!is_message || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    auto& session = self(user);
    if (Stream* stream = session.find(frame->hd.stream_id)) stream->is_out_sent = true;
    session.on_stream_out_sent(frame->hd.stream_id);
    return 0;
  }
  static ssize_t read_data(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<Stream*>(source->ptr);
    const std::size_t n = std::min(length, stream.out_bytes);
    if (n == 0 && !stream.is_out_complete) {
      stream.is_deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream.is_out_complete && n == stream.out_bytes) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }
  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_head, std::size_t length,
                       nghttp2_data_source* source, void* user) {
    auto& session = self(user);
    if (session.transport_->pending() >= kHighWater) return NGHTTP2_ERR_WOULDBLOCK;
    session.send_frame(*static_cast<Stream*>(source->ptr), frame_head, length);
    return 0;
  }

  static const nghttp2_session_callbacks* get() {
    static nghttp2_session_callbacks* const callbacks = [] {
      nghttp2_session_callbacks* made = nullptr;
      RN_ASSERT(::nghttp2_session_callbacks_new(&made) == 0, "out of memory");
      ::nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
      ::nghttp2_session_callbacks_set_on_header_callback(made, header);
      ::nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_received);
      ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data);
      ::nghttp2_session_callbacks_set_on_stream_close_callback(made, stream_closed);
      ::nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
      ::nghttp2_session_callbacks_set_send_data_callback(made, send_data);
      return made;
    }();
    return callbacks;
  }
};

Http2Session::Http2Session(std::shared_ptr<Transport> transport, bool is_server)
    : transport_(std::move(transport)), last_received_(std::chrono::steady_clock::now()) {
  nghttp2_option* option = nullptr;
  RN_ASSERT(::nghttp2_option_new(&option) == 0, "out of memory");
  ::nghttp2_option_set_no_auto_window_update(option, 1);
  // Our own heads may be as large as what we take; nghttp2 starts at 64 KiB.
  ::nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
  const int rc = is_server ? ::nghttp2_session_server_new2(&session_, Callbacks::get(), this, option)
                           : ::nghttp2_session_client_new2(&session_, Callbacks::get(), this, option);
  ::nghttp2_option_del(option);
  RN_ASSERT(rc == 0, "out of memory");
}

Http2Session::~Http2Session() {
  transport_->set_owner(nullptr);
  transport_->close();
  ::nghttp2_session_del(session_);
}

void Http2Session::start_reading() {
  transport_->set_owner(this);
  flush_soon();
  on_readable();  // TLS may have read ahead
}

Http2Session::Stream* Http2Session::find(std::int32_t id) {
  return static_cast<Stream*>(::nghttp2_session_get_stream_user_data(session_, id));
}

nghttp2_data_provider Http2Session::provider(Stream& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::read_data;
  return provider;
}

void Http2Session::add_data(Stream& stream, std::vector<Slice> slices, bool is_complete) {
  if (stream.out_bytes == 0) stream.last_progress = std::chrono::steady_clock::now();
  for (auto& slice : slices) {
    if (slice.bytes.empty()) continue;
    stream.out_bytes += slice.bytes.size();
    stream.out.push_back(std::move(slice));
  }
  stream.is_out_complete = stream.is_out_complete || is_complete;
  if (!stream.is_deferred || stream.is_closed) return flush_soon();
  stream.is_deferred = false;
  ::nghttp2_session_resume_data(session_, stream.id);
  flush_soon();
}

void Http2Session::reset(Stream& stream, std::uint32_t code) {
  if (stream.is_closed || is_lost_) return;
  ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  flush_soon();
}

void Http2Session::send_frame(Stream& stream, const std::uint8_t* frame_head, std::size_t length) {
  transport_->queue(text(frame_head, 9));
  stream.out_bytes -= length;
  while (length) {
    Slice& slice = stream.out[stream.out_front];
    const std::size_t part = std::min(length, slice.bytes.size() - stream.out_offset);
    transport_->queue(slice.bytes.substr(stream.out_offset, part));
    length -= part;
    stream.out_offset += part;
    if (stream.out_offset < slice.bytes.size()) break;
    slice = Slice{};  // lets the owner go
    ++stream.out_front;
    stream.out_offset = 0;
  }
  if (stream.out_bytes == 0) {
    stream.out.clear();
    stream.out_front = 0;
  }
  stream.last_progress = last_received_;
  stream.on_out_progress();
}

void Http2Session::flush_soon() {
  if (is_flush_posted_ || is_lost_) return;
  is_flush_posted_ = true;
  // Posted behind what already waits, so that the answers of one turn leave together.
  asio::post(transport_->executor(), [self = shared_from_this()] {
    self->is_flush_posted_ = false;
    self->flush();
  });
}

void Http2Session::flush() {
  if (is_lost_) return;
  auto self = shared_from_this();
  for (int turn = 0;; ++turn) {
    while (transport_->pending() < kHighWater) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t length = ::nghttp2_session_mem_send(session_, &bytes);
      if (length < 0) return lose();
      if (length == 0) break;
      transport_->queue(text(bytes, static_cast<std::size_t>(length)));
    }
    const bool was_full = transport_->pending() >= kHighWater;
    const auto sent = transport_->flush();
    if (sent == Transport::Io::failed) return lose();
    if (sent == Transport::Io::would_block || !was_full) break;
    if (turn + 1 == kFlushesATurn) {
      flush_soon();
      break;
    }
  }
  update_deadline();
  if (!is_finished_ && !transport_->pending() && !::nghttp2_session_want_read(session_) &&
      !::nghttp2_session_want_write(session_)) {
    is_finished_ = true;
    on_finished();
  }
}

void Http2Session::on_readable() {
  if (is_lost_ || is_finished_) return;
  auto self = shared_from_this();
  last_received_ = std::chrono::steady_clock::now();
  const auto buffer = Transport::scratch();
  for (int i = 0; i < kReadsATurn; ++i) {
    std::size_t length = 0;
    const auto got = transport_->read(buffer, length);
    if (got == Transport::Io::would_block) {
      transport_->arm_read();
      return flush_soon();
    }
    if (got != Transport::Io::ok) return lose();
    const ssize_t taken =
        ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(buffer.data()), length);
    if (taken < 0) {  // not HTTP/2 at all, or a flood: nghttp2 may have a GOAWAY to send
      flush();
      return lose();
    }
  }
  // Others have their turn; a level-triggered wait would not see what TLS holds.
  asio::post(transport_->executor(), [self] { self->on_readable(); });
  flush_soon();
}

void Http2Session::lose() {
  if (is_lost_) return;
  is_lost_ = true;
  auto self = shared_from_this();
  transport_->close();
  on_lost();
}

nghttp2_nv name_value(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

bool is_connection_field(std::string_view name) {
  return name == "connection" || name == "upgrade" || name == "keep-alive" || name == "transfer-encoding" ||
         name == "proxy-connection" || name == "host" || name.starts_with(':');
}

}  // namespace rusternetes::http
