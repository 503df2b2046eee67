#pragma once
// Text in messages as Kubernetes prints it: its messages are made by Go's %q, and clients match on them.

#include <cstdint>
#include <string>
#include <string_view>

namespace rusternetes::apimachinery {

// One code point of UTF-8 text. A byte that starts no valid sequence is U+FFFD with width 1.
struct Rune {
  char32_t value = 0;
  std::uint8_t width = 0;
  bool is_invalid_byte() const { return value == 0xFFFD && width == 1; }
};
// `text` is not empty.
Rune decode_rune(std::string_view text);
void append_utf8(std::string& out, char32_t value);

// As strconv.Quote: in double quotes, unprintable characters escaped, invalid bytes as \xNN. Code points that
// Unicode has not assigned are taken as printable.
std::string quote(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

// As Go's package time quotes in its errors: every byte that is not printable ASCII becomes \xNN.
std::string quote_ascii(std::string_view text);

}  // namespace rusternetes::apimachinery
