#include "http/streams/websocket_codec.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace rusternetes::http {
namespace {

constexpr std::uint16_t kNoCode = 1005;

bool is_control(std::uint8_t opcode) { return opcode & 0x8; }

void random_bytes(std::uint8_t* to, std::size_t size) {
  RN_ASSERT(::RAND_bytes(to, static_cast<int>(size)) == 1, "random bytes");
}

}  // namespace

WebSocketCodec::WebSocketCodec(Role role, std::string& out) : role_(role), out_(out) {
  wslay_event_callbacks callbacks{};
  callbacks.recv_callback = receive;
  callbacks.send_callback = send;
  callbacks.genmask_callback = make_mask;
  callbacks.on_frame_recv_start_callback = on_frame;
  callbacks.on_frame_recv_chunk_callback = on_chunk;
  callbacks.on_frame_recv_end_callback = on_frame_end;
  callbacks.on_msg_recv_callback = on_message;
  const int made = role == Role::server ? ::wslay_event_context_server_init(&context_, &callbacks, this)
                                        : ::wslay_event_context_client_init(&context_, &callbacks, this);
  RN_ASSERT(made == 0, "a WebSocket context");
  ::wslay_event_config_set_no_buffering(context_, 1);
  const wslay_frame_callbacks frame_callbacks{send_part, nullptr, make_frame_mask};
  RN_ASSERT(::wslay_frame_context_init(&frames_, &frame_callbacks, this) == 0, "a WebSocket frame context");
  // Of what is not held no size is too large.
  ::wslay_event_config_set_max_recv_msg_length(context_, std::numeric_limits<std::uint64_t>::max());
}

WebSocketCodec::~WebSocketCodec() {
  ::wslay_frame_context_free(frames_);
  ::wslay_event_context_free(context_);
}

Result<void> WebSocketCodec::feed(std::string_view bytes, Events& events) {
  in_ = bytes;
  events_ = &events;
  const int received = ::wslay_event_recv(context_);
  (void)::wslay_event_send(context_);
  in_ = {};
  events_ = nullptr;
  if (received != 0) return Status{400, "BadRequest", "WebSocket: frames cannot be read"};
  if (!::wslay_event_get_read_enabled(context_) && !::wslay_event_get_close_received(context_))
    return Status{400, "BadRequest", "WebSocket: the peer broke the protocol"};
  return {};
}

void WebSocketCodec::message(bool is_text, std::string_view prefix, std::string_view bytes) {
  if (::wslay_event_get_close_sent(context_) || !::wslay_event_get_write_enabled(context_)) return;
  wslay_frame_iocb frame{};
  frame.fin = 1;
  frame.opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;
  frame.mask = role_ == Role::client;
  frame.payload_length = prefix.size() + bytes.size();
  // The head goes out with the first part, so there is one even when both are empty.
  bool has_head = false;
  for (const auto part : {prefix, bytes}) {
    if (part.empty() && (has_head || frame.payload_length > 0)) continue;
    frame.data = reinterpret_cast<const std::uint8_t*>(part.data());
    frame.data_length = part.size();
    const ssize_t sent = ::wslay_frame_send(frames_, &frame);
    RN_ASSERT(sent == static_cast<ssize_t>(part.size()), "a string takes every byte");
    has_head = true;
  }
}

void WebSocketCodec::ping() {
  const wslay_event_msg ping{WSLAY_PING, nullptr, 0};
  (void)::wslay_event_queue_msg(context_, &ping);
  (void)::wslay_event_send(context_);
}

void WebSocketCodec::close(std::uint16_t code) {
  (void)::wslay_event_queue_close(context_, code, nullptr, 0);
  (void)::wslay_event_send(context_);
}

// --- libwslay's side

ssize_t WebSocketCodec::receive(wslay_event_context* context, std::uint8_t* to, std::size_t size, int,
                                void* self) {
  auto& in = static_cast<WebSocketCodec*>(self)->in_;
  if (in.empty()) {
    ::wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  const std::size_t take = std::min(size, in.size());
  std::memcpy(to, in.data(), take);
  in.remove_prefix(take);
  return static_cast<ssize_t>(take);
}

ssize_t WebSocketCodec::send(wslay_event_context*, const std::uint8_t* bytes, std::size_t size, int,
                             void* self) {
  static_cast<WebSocketCodec*>(self)->out_.append(reinterpret_cast<const char*>(bytes), size);
  return static_cast<ssize_t>(size);
}

ssize_t WebSocketCodec::send_part(const std::uint8_t* bytes, std::size_t size, int flags, void* self) {
  return send(nullptr, bytes, size, flags, self);
}

int WebSocketCodec::make_frame_mask(std::uint8_t* to, std::size_t size, void*) {
  random_bytes(to, size);
  return 0;
}

int WebSocketCodec::make_mask(wslay_event_context*, std::uint8_t* to, std::size_t size, void*) {
  random_bytes(to, size);
  return 0;
}

void WebSocketCodec::on_frame(wslay_event_context*, const wslay_event_on_frame_recv_start_arg* frame,
                              void* self) {
  auto& codec = *static_cast<WebSocketCodec*>(self);
  codec.is_control_ = is_control(frame->opcode);
  codec.is_last_frame_ = frame->fin;
  if (!codec.is_control_ && frame->opcode != WSLAY_CONTINUATION_FRAME)
    codec.events_->on_message_begin(frame->opcode == WSLAY_TEXT_FRAME);
}

void WebSocketCodec::on_chunk(wslay_event_context*, const wslay_event_on_frame_recv_chunk_arg* chunk,
                              void* self) {
  auto& codec = *static_cast<WebSocketCodec*>(self);
  if (codec.is_control_ || !chunk->data_length) return;
  codec.events_->on_message_bytes({reinterpret_cast<const char*>(chunk->data), chunk->data_length});
}

void WebSocketCodec::on_frame_end(wslay_event_context*, void* self) {
  auto& codec = *static_cast<WebSocketCodec*>(self);
  if (!codec.is_control_ && codec.is_last_frame_) codec.events_->on_message_end();
}

void WebSocketCodec::on_message(wslay_event_context*, const wslay_event_on_msg_recv_arg* message,
                                void* self) {
  auto& codec = *static_cast<WebSocketCodec*>(self);
  if (message->opcode == WSLAY_PONG) codec.events_->on_pong();
  if (message->opcode == WSLAY_CONNECTION_CLOSE)
    codec.events_->on_close(message->status_code ? message->status_code : kNoCode);
}

}  // namespace rusternetes::http
