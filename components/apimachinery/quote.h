#pragma once
// Text in messages as Kubernetes prints it. Its messages are made by Go's %q and encoding/json, and clients match on
// them, so these follow Go's escaping rather than C++'s.

#include <cstdint>
#include <span>
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

// As strconv.Quote: in double quotes, unprintable characters escaped, invalid bytes as \xNN. Code points that Unicode
// has not assigned are taken as printable.
std::string quote(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

// As encoding/json: also <, >, & and U+2028/9 are escaped, invalid bytes become \ufffd.
std::string json_quote(std::string_view text);
void append_json_quoted(std::string& out, std::string_view text);
// A JSON array of strings.
std::string json_quote_list(std::span<const std::string> texts);

}  // namespace rusternetes::apimachinery
