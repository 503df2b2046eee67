#include "apimachinery/quote.h"

#include <catch2/catch.hpp>

using namespace rusternetes::apimachinery;

TEST_CASE("text is quoted as Go's %q quotes it") {
  const std::pair<std::string_view, const char*> cases[] = {
      {"", "\"\""},
      {"plain <&>", "\"plain <&>\""},
      {"a\"b\\c", "\"a\\\"b\\\\c\""},
      {"\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\""},
      {std::string_view("\0\x1b\x7f", 3), "\"\\x00\\x1b\\x7f\""},
      {"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80", "\"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80\""},
      {"\xC2\xA0\xE2\x80\x8B\xEF\xBB\xBF", "\"\\u00a0\\u200b\\ufeff\""},
      {"\xF3\xA0\x81\x81", "\"\\U000e0041\""},
      {"\xFFx\xC0\x80\xED\xA0\x80\xE2\x28", "\"\\xffx\\xc0\\x80\\xed\\xa0\\x80\\xe2(\""},
      {"\xEF\xBF\xBD", "\"\xEF\xBF\xBD\""}};
  for (const auto& [text, expected] : cases) CHECK(quote(text) == expected);
}

TEST_CASE("text is quoted as in the errors of Go's package time") {
  CHECK(quote_ascii("a\"\\\n\x7F\xC3\xA9") == "\"a\\\"\\\\\\x0a\x7F\\xc3\\xa9\"");
}

TEST_CASE("every code point is decoded as it was encoded") {
  for (char32_t value = 0; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, value);
    const Rune rune = decode_rune(text);
    if (rune.value != value || rune.width != text.size()) FAIL_CHECK(static_cast<unsigned>(value));
  }
}
