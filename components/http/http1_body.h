#pragma once
// The framing of an HTTP/1.1 body (RFC 9112, sections 6 and 7) without I/O: by length, in chunks, or to the
// end of the connection. Internal to this folder. Own code, because the chunk parser of Beast 1.81 asserts on
// what a peer sent
// ("0", a byte that is no CR, LF).

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::http {

class BodyDecoder {
 public:
  static BodyDecoder none() { return BodyDecoder(State::done, 0); }
  static BodyDecoder of_length(std::uint64_t length) {
    return BodyDecoder(length ? State::raw : State::done, length);
  }
  static BodyDecoder chunked() { return BodyDecoder(State::size, 0); }
  static BodyDecoder to_the_end() { return BodyDecoder(State::until_end, 0); }

  // Appends at most `room` decoded bytes to `out` and returns how many of `bytes` it consumed: all, unless
  // the room or the body ended. 400 BadRequest for what is no chunk.
  Result<std::size_t> feed(std::string_view bytes, std::string& out, std::size_t room);
  // The peer's end: an error in the midst of a body.
  Result<void> feed_end();
  bool is_done() const { return state_ == State::done; }

 private:
  enum class State {
    done,
    raw,        // remaining_ bytes, then the end
    until_end,  // whatever comes
    size,       // hexadecimal digits
    extension,  // ignored up to CR
    size_lf,
    data,  // remaining_ bytes of a chunk
    data_cr,
    data_lf,
    trailer_start,  // the first byte of a line
    trailer,        // ignored up to CR
    trailer_lf,
    last_lf,
  };
  BodyDecoder(State state, std::uint64_t remaining) : state_(state), remaining_(remaining) {}
  // One byte of what surrounds the chunks; false: it does not belong there.
  bool step(char c);
  bool step_size(char c);

  State state_;
  std::uint64_t remaining_;
  int digits_ = 0;
  std::size_t ignored_ = 0;  // bytes of extensions and trailers so far
};

}  // namespace rusternetes::http
