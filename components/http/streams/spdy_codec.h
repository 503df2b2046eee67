#pragma once
// Frames of SPDY/3.1 (draft 3.1, section 2) as the library that kubectl uses writes them. Without I/O: bytes
// go in, events come out; frames to send are appended to a string.

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/streams/spdy_headers.h"

namespace rusternetes::http {

enum class SpdyReset : std::uint32_t {
  protocol_error = 1,
  invalid_stream = 2,
  refused_stream = 3,
  cancel = 5,
  internal_error = 6,
};

enum class SpdyGoAway : std::uint32_t { ok = 0, protocol_error = 1, internal_error = 2 };

class SpdyCodec {
 public:
  // Stream ids are between 1 and 2^31-1, else feed() fails.
  class Events {
   public:
    virtual void on_syn_stream(std::uint32_t id, Headers headers, bool is_end) = 0;
    virtual void on_syn_reply(std::uint32_t id, bool is_end) = 0;
    virtual void on_headers(std::uint32_t id, bool is_end) = 0;
    virtual void on_rst_stream(std::uint32_t id) = 0;
    virtual void on_ping(std::uint32_t id) = 0;
    virtual void on_goaway() = 0;
    // Pieces of a frame come as they arrive, `is_end` with the last one of the last frame.
    virtual void on_data(std::uint32_t id, std::string_view bytes, bool is_end) = 0;

   protected:
    ~Events() = default;
  };

  // SETTINGS, WINDOW_UPDATE and unknown control frames are skipped. An error: the connection is unusable.
  Result<void> feed(std::string_view bytes, Events& events);

  void syn_stream(std::string& out, std::uint32_t id, const Headers& headers);
  void syn_reply(std::string& out, std::uint32_t id);
  static void rst_stream(std::string& out, std::uint32_t id, SpdyReset reason);
  static void ping(std::string& out, std::uint32_t id);
  static void goaway(std::string& out, std::uint32_t last_good_id, SpdyGoAway reason);
  // At most 2^24-1 bytes.
  static void data(std::string& out, std::uint32_t id, std::string_view bytes, bool is_end);

 private:
  Result<void> begin_frame(Events& events);
  Result<void> control_frame(Events& events);

  SpdyHeaderEncoder encoder_;
  SpdyHeaderDecoder decoder_;
  std::string head_;     // of the frame under way, until its 8 bytes are there
  std::string payload_;  // of a control frame that is not skipped
  std::uint32_t id_ = 0;
  std::uint32_t left_ = 0;  // of the payload
  std::uint16_t type_ = 0;
  std::uint8_t flags_ = 0;
  bool is_data_ = false;
  bool is_skipped_ = false;
};

}  // namespace rusternetes::http
