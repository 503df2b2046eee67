#pragma once
// HTTP/1.1 without I/O: Beast's parsers for heads and our own for bodies behind one decoder, and the text of
// outgoing heads and chunks. Internal to this folder; Beast is instantiated in http1_codec.cpp alone.

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "http/message.h"

namespace rusternetes::http {

// One message. Bytes go in as they come; what is not consumed is offered again, with more behind it.
class Http1Decoder {
 public:
  static std::unique_ptr<Http1Decoder> for_request(std::size_t header_limit);
  // The response to HEAD has no body, whatever its head says.
  static std::unique_ptr<Http1Decoder> for_response(std::size_t header_limit, bool is_head);
  virtual ~Http1Decoder() = default;

  // Returns how much was consumed; is_head_done() tells whether the head is complete. Errors: 400 BadRequest,
  // and 431 RequestHeaderFieldsTooLarge beyond the limit.
  virtual Result<std::size_t> feed_head(std::string_view bytes) = 0;
  // Appends decoded body to `out`, at most `room` bytes.
  virtual Result<std::size_t> feed_body(std::string_view bytes, std::string& out, std::size_t room) = 0;
  // The peer's end: completes a body without a length, an error in the midst of any other.
  virtual Result<void> feed_end() = 0;

  virtual bool is_head_done() const = 0;
  virtual bool is_done() const = 0;
  virtual bool is_keep_alive() const = 0;
  virtual bool is_http10() const = 0;
  // Of the declared Content-Length.
  virtual std::optional<std::uint64_t> content_length() const = 0;
  // Once, after the head. Absolute-form targets come out in origin form.
  virtual RequestHead take_request() = 0;
  virtual ResponseHead take_response() = 0;
};

// "HTTP/1.1 200 OK\r\n" and the fields, without the empty line. Line breaks in values become spaces.
void append_status_line(std::string& out, int status);
void append_field(std::string& out, std::string_view name, std::string_view value);
void append_fields(std::string& out, const Headers& headers);
std::string_view reason_phrase(int status);

// The Date field's value (RFC 9110, 6.6.1), renewed each second.
std::string_view http_date();

// No body may follow these.
bool is_bodiless(int status);

}  // namespace rusternetes::http
