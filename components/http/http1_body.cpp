#include "http/http1_body.h"

#include <algorithm>

namespace rusternetes::http {
namespace {

constexpr int kMostDigits = 15;  // 2^60 bytes: no overflow
constexpr std::size_t kMostIgnored = 64 * 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool BodyDecoder::step_size(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
    return ++digits_ <= kMostDigits;
  }
  if (digits_ == 0) return false;
  if (c == '\r')
    state_ = State::size_lf;
  else if (c == ';' || c == ' ' || c == '\t')
    state_ = State::extension;
  else
    return false;
  return true;
}

bool BodyDecoder::step(char c) {
  switch (state_) {
    case State::size:
      return step_size(c);
    case State::extension:
    case State::trailer:
      if (c == '\r') state_ = state_ == State::extension ? State::size_lf : State::trailer_lf;
      return c != '\n' && ++ignored_ <= kMostIgnored;
    case State::size_lf:
      state_ = remaining_ ? State::data : State::trailer_start;
      digits_ = 0;
      return c == '\n';
    case State::data_cr:
      state_ = State::data_lf;
      return c == '\r';
    case State::data_lf:
      state_ = State::size;
      return c == '\n';
    case State::trailer_start:
      state_ = c == '\r' ? State::last_lf : State::trailer;
      return c != '\n';
    case State::trailer_lf:
      state_ = State::trailer_start;
      return c == '\n';
    case State::last_lf:
      state_ = State::done;
      return c == '\n';
    default:
      return false;
  }
}

Result<std::size_t> BodyDecoder::feed(std::string_view bytes, std::string& out, std::size_t room) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::done) {
    const bool is_counted = state_ == State::raw || state_ == State::data;
    if (!is_counted && state_ != State::until_end) {
      if (!step(bytes[at++])) return Status{400, "BadRequest", "malformed HTTP message: bad chunk"};
      continue;
    }
    std::size_t part = std::min(room, bytes.size() - at);
    if (is_counted) part = static_cast<std::size_t>(std::min<std::uint64_t>(part, remaining_));
    if (part == 0) break;
    out.append(bytes.substr(at, part));
    at += part;
    room -= part;
    if (!is_counted) continue;
    remaining_ -= part;
    if (remaining_ == 0) state_ = state_ == State::raw ? State::done : State::data_cr;
  }
  return at;
}

Result<void> BodyDecoder::feed_end() {
  if (state_ == State::until_end) state_ = State::done;
  if (state_ != State::done)
    return Status{400, "BadRequest", "malformed HTTP message: unexpected end of the body"};
  return {};
}

}  // namespace rusternetes::http
