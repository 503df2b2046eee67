#include "apimachinery/quote.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rusternetes::apimachinery {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr Rune kInvalid{0xFFFD, 1};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Assigned code points that are neither letters, marks, numbers, punctuation nor symbols: separators, format
// characters, private use, surrogates and noncharacters (Unicode categories Z, Cc, Cf, Co, Cs, Cn).
constexpr std::pair<char32_t, char32_t> kUnprintable[] = {
    {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
    {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},   {0x180E, 0x180E},
    {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},   {0xD800, 0xF8FF},
    {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0001, 0xE0001},
    {0xE0020, 0xE007F}, {0xF0000, 0x10FFFF}};

bool is_printable(char32_t value) {
  if (value < 0x7F) return value >= 0x20;
  const auto* range =
      std::ranges::lower_bound(kUnprintable, value, {}, [](const auto& entry) { return entry.second; });
  return range == std::end(kUnprintable) || value < range->first;
}

void append_hex(std::string& out, char32_t value, int digits) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[(value >> shift) & 0xF];
}

}  // namespace

Rune decode_rune(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::uint8_t width = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < width) return kInvalid;
  char32_t value = first & (0xFF >> (width + 1));
  for (std::size_t i = 1; i < width; ++i) {
    if (!is_continuation(text[i])) return kInvalid;
    value = (value << 6) | (byte(i) & 0x3F);
  }
  const bool is_overlong = (width == 3 && value < 0x800) || (width == 4 && value < 0x10000);
  if (is_overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return kInvalid;
  return {value, width};
}

void append_utf8(std::string& out, char32_t value) {
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xC0 | (value >> 6));
    out += static_cast<char>(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    out += static_cast<char>(0xE0 | (value >> 12));
    out += static_cast<char>(0x80 | ((value >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (value & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (value >> 18));
    out += static_cast<char>(0x80 | ((value >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((value >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (value & 0x3F));
  }
}

void append_quoted(std::string& out, std::string_view text) {
  constexpr std::string_view controls = "\a\b\f\n\r\t\v";
  constexpr std::string_view letters = "abfnrtv";
  out += '"';
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    const std::string_view bytes = text.substr(0, rune.width);
    text.remove_prefix(rune.width);
    if (rune.is_invalid_byte()) {
      out += "\\x";
      append_hex(out, static_cast<unsigned char>(bytes[0]), 2);
    } else if (rune.value == '"' || rune.value == '\\') {
      out += '\\';
      out += bytes;
    } else if (is_printable(rune.value)) {
      out += bytes;
    } else if (const auto at = rune.width == 1 ? controls.find(bytes[0]) : std::string_view::npos;
               at != std::string_view::npos) {
      out += '\\';
      out += letters[at];
    } else {
      out += rune.value < 0x80 ? "\\x" : rune.value < 0x10000 ? "\\u" : "\\U";
      append_hex(out, rune.value, rune.value < 0x80 ? 2 : rune.value < 0x10000 ? 4 : 8);
    }
  }
  out += '"';
}

std::string quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

std::string quote_ascii(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || byte < 0x20) {
      out += "\\x";
      append_hex(out, byte, 2);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace rusternetes::apimachinery
