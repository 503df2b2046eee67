#pragma once
// WebSocket frames (RFC 6455, sections 5 and 7) by libwslay. Without I/O: bytes go in, events come out; what
// is to be sent, answers to PING and CLOSE among it, is appended to a string. No message is ever held whole.

#include <wslay/wslay.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::http {

class WebSocketCodec {
 public:
  enum class Role { client, server };

  class Events {
   public:
    // A message, in pieces as they arrive, whatever its frames; text is checked to be UTF-8.
    virtual void on_message_begin(bool is_text) = 0;
    virtual void on_message_bytes(std::string_view bytes) = 0;
    virtual void on_message_end() = 0;
    virtual void on_pong() = 0;
    // The peer closes; the answer is in `out` already. `code` is 1005 when it gave none.
    virtual void on_close(std::uint16_t code) = 0;

   protected:
    ~Events() = default;
  };

  // `out` gets what is to be sent, and outlives the codec.
  WebSocketCodec(Role role, std::string& out);
  ~WebSocketCodec();
  WebSocketCodec(const WebSocketCodec&) = delete;
  WebSocketCodec& operator=(const WebSocketCodec&) = delete;

  // An error: the peer broke the rules (its CLOSE with the reason is in `out`). What comes after a CLOSE is
  // ignored.
  Result<void> feed(std::string_view bytes, Events& events);

  // A message of one frame: `prefix`, then `bytes`. Nothing after close().
  void message(bool is_text, std::string_view prefix, std::string_view bytes);
  void ping();
  void close(std::uint16_t code);

 private:
  static ssize_t receive(wslay_event_context* context, std::uint8_t* to, std::size_t size, int flags,
                         void* self);
  static ssize_t send(wslay_event_context* context, const std::uint8_t* bytes, std::size_t size, int flags,
                      void* self);
  static int make_mask(wslay_event_context* context, std::uint8_t* to, std::size_t size, void* self);
  static ssize_t send_part(const std::uint8_t* bytes, std::size_t size, int flags, void* self);
  static int make_frame_mask(std::uint8_t* to, std::size_t size, void* self);
  static void on_frame(wslay_event_context* context, const wslay_event_on_frame_recv_start_arg* frame,
                       void* self);
  static void on_chunk(wslay_event_context* context, const wslay_event_on_frame_recv_chunk_arg* chunk,
                       void* self);
  static void on_frame_end(wslay_event_context* context, void* self);
  static void on_message(wslay_event_context* context, const wslay_event_on_msg_recv_arg* message,
                         void* self);

  Role role_;
  std::string& out_;
  wslay_event_context* context_ = nullptr;  // what comes in, and control frames
  wslay_frame_context* frames_ = nullptr;   // our messages
  std::string_view in_;                     // while feed() runs
  Events* events_ = nullptr;                // likewise
  bool is_control_ = false;                 // the frame under way
  bool is_last_frame_ = false;
};

}  // namespace rusternetes::http
