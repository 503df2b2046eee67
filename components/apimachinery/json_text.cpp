#include "apimachinery/json_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace rusternetes::apimachinery {
namespace {

constexpr std::array<bool, 256> plain_characters = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[static_cast<std::size_t>(c)] = true;
  for (char c : {'"', '\\', '<', '>', '&'}) plain[static_cast<unsigned char>(c)] = false;
  return plain;
}();

// Length of the UTF-8 sequence at `at`, or 0 if it is invalid.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto is_tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char c = byte(at);
  if (c >= 0xC2 && c <= 0xDF) return is_tail(at + 1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    if (!is_tail(at + 1) || !is_tail(at + 2)) return 0;
    if (c == 0xE0 && byte(at + 1) < 0xA0) return 0;
    if (c == 0xED && byte(at + 1) > 0x9F) return 0;
    return 3;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    if (!is_tail(at + 1) || !is_tail(at + 2) || !is_tail(at + 3)) return 0;
    if (c == 0xF0 && byte(at + 1) < 0x90) return 0;
    if (c == 0xF4 && byte(at + 1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out += '"';
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (plain_characters[c]) {
      ++at;
      continue;
    }
    out.append(text, start, at - start);
    if (c < 0x80) {
      switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        default:
          out += "\\u00";
          out += hex[c >> 4];
          out += hex[c & 15];
      }
      ++at;
    } else if (const std::size_t length = sequence_length(text, at); length == 0) {
      out += "\\ufffd";
      ++at;
    } else {
      if (text.substr(at, 3) == "\xE2\x80\xA8")
        out += "\\u2028";
      else if (text.substr(at, 3) == "\xE2\x80\xA9")
        out += "\\u2029";
      else
        out.append(text, at, length);
      at += length;
    }
    start = at;
  }
  out.append(text, start, text.size() - start);
  out += '"';
}

// Go: the shortest text that reads back the same, with an exponent only below 1e-6 and from 1e21.
void append_json_double(std::string& out, double value) {
  if (!std::isfinite(value)) {  // JSON has no word for it; Go refuses to encode it
    out += "null";
    return;
  }
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-6 || size >= 1e21);
  char buffer[400];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value,
                                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string_view text(buffer, static_cast<std::size_t>(result.ptr - buffer));
  if (scientific) {  // "1e-07" is "1e-7" there
    const auto e = text.find('e');
    out.append(text, 0, e + 2);
    auto digits = text.substr(e + 2);
    while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
    out += digits;
    return;
  }
  out += text;
}

}  // namespace rusternetes::apimachinery
