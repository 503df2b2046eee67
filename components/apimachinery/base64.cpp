#include "apimachinery/base64.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace rusternetes::apimachinery {
namespace {
constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::array<std::int8_t, 256> reverse = [] {
  std::array<std::int8_t, 256> table{};
  for (auto& entry : table) entry = -1;
  for (int i = 0; i < 64; ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}();
}  // namespace

void base64_append(std::string& out, std::string_view bytes) {
  std::size_t i = 0;
  auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t v = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const char four[] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
    out.append(four, 4);
  }
  if (i + 1 == bytes.size()) {
    const std::uint32_t v = byte(i) << 16;
    out += {alphabet[v >> 18], alphabet[v >> 12 & 63], '=', '='};
  } else if (i + 2 == bytes.size()) {
    const std::uint32_t v = byte(i) << 16 | byte(i + 1) << 8;
    out += {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], '='};
  }
}

Result<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int have = 0;
  std::size_t i = 0;
  auto bad = [&](std::size_t at) {
    return Status{400, "BadRequest", fmt::format("illegal base64 data at input byte {}", at), nullptr};
  };
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=') break;
    const int value = reverse[static_cast<unsigned char>(c)];
    if (value < 0) return bad(i);
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++have == 4) {
      out += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      bits = 0;
      have = 0;
    }
  }
  if (i == text.size()) {
    if (have) return bad(i);
    return out;
  }
  int padding = 0;
  const std::size_t first_padding = i;
  for (; i < text.size(); ++i) {
    if (text[i] == '\n' || text[i] == '\r') continue;
    if (text[i] != '=') return bad(i);
    ++padding;
  }
  if (have == 2 && padding == 2) {
    out += static_cast<char>(bits >> 4);
  } else if (have == 3 && padding == 1) {
    out += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  } else {
    return bad(first_padding);
  }
  return out;
}

}  // namespace rusternetes::apimachinery
