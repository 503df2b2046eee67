#include "api-server/yaml_scalar.h"

#include <re2/re2.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace rusternetes::api_server {
namespace {

// The character at `at` and how many bytes it has.
std::uint32_t decode(std::string_view text, std::size_t at, std::size_t& width) {
  const auto first = static_cast<unsigned char>(text[at]);
  width = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
  if (width == 1 || at + width > text.size()) return width = 1, first;
  std::uint32_t out = first & (0xFFu >> (width + 1));
  for (std::size_t i = 1; i < width; ++i) out = out << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
  return out;
}

bool is_break(std::uint32_t c) { return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029; }

// Characters beyond the basic plane count as unprintable here, tabs too; the separators of lines and
// paragraphs are escaped, since readers of YAML 1.1 take them for line ends.
bool is_printable(std::uint32_t c) {
  return c == '\n' || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0xD800 && c != 0x2028 && c != 0x2029) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

bool has_indicator_at_start(std::string_view text) {
  if (text.starts_with("---") || text.starts_with("...")) return true;
  constexpr std::string_view never = "#,[]{}&*!|>'\"%@`";
  if (never.find(text[0]) != std::string_view::npos) return true;
  const bool is_alone =
      text.size() == 1 || text[1] == ' ' || text[1] == '\t' || text[1] == '\n' || text[1] == '\r';
  return (text[0] == '?' || text[0] == ':' || text[0] == '-') && is_alone;
}

struct Analysis {
  bool is_multiline = false, can_be_plain = true, can_be_single_quoted = true, can_be_literal = true;
};

Analysis analyze(std::string_view text) {
  Analysis out;
  if (text.empty()) {
    out.can_be_literal = false;
    return out;
  }
  bool has_special = false, break_then_space = false, space_then_break = false, was_space = false,
       was_break = false;
  bool after_space = true, has_indicator = has_indicator_at_start(text);
  for (std::size_t at = 0, width = 0; at < text.size(); at += width) {
    const std::uint32_t c = decode(text, at, width);
    const std::size_t next = at + width;
    const bool before_space = next >= text.size() || text[next] == ' ' || text[next] == '\t' ||
                              text[next] == '\n' || text[next] == '\r';
    if (at > 0) has_indicator |= (c == ':' && before_space) || (c == '#' && after_space);
    has_special |= !is_printable(c);
    break_then_space |= c == ' ' && was_break;
    space_then_break |= is_break(c) && was_space;
    out.is_multiline |= is_break(c);
    was_space = c == ' ';
    was_break = is_break(c);
    after_space = was_space || was_break || c == '\t';
  }
  const bool has_edge =
      text.front() == ' ' || text.front() == '\n' || text.back() == ' ' || text.back() == '\n';
  out.can_be_plain = !has_edge && !break_then_space && !space_then_break && !has_special &&
                     !out.is_multiline && !has_indicator;
  out.can_be_single_quoted = !break_then_space && !space_then_break && !has_special;
  out.can_be_literal = text.back() != ' ' && !space_then_break && !has_special;
  return out;
}

bool is_number(const std::string& text) {
  static const RE2 based(R"([-+]?0(?:[xX][0-9a-fA-F]{1,16}|[oO][0-7]{1,22}|[bB][01]{1,64}))");
  static const RE2 decimal(R"([-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)");
  if (RE2::FullMatch(text, based)) return true;
  return RE2::FullMatch(text, decimal) && std::isfinite(std::strtod(text.c_str(), nullptr));
}

bool is_time(std::string_view text) {
  static const RE2 form(
      R"((\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?(?:Z|[-+]\d\d:\d\d))|(?: (\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?))?)");
  std::array<std::string, 9> part;
  if (!RE2::FullMatch(std::string(text), form, &part[0], &part[1], &part[2], &part[3], &part[4], &part[5],
                      &part[6], &part[7], &part[8]))
    return false;
  std::array<int, 9> n{};
  for (std::size_t i = 0; i < part.size(); ++i) n[i] = std::atoi(part[i].c_str());
  const bool is_leap = (n[0] % 4 == 0 && n[0] % 100 != 0) || n[0] % 400 == 0;
  const int days = n[1] == 2                                           ? (is_leap ? 29 : 28)
                   : n[1] == 4 || n[1] == 6 || n[1] == 9 || n[1] == 11 ? 30
                                                                       : 31;
  return n[1] >= 1 && n[1] <= 12 && n[2] >= 1 && n[2] <= days && n[3] < 24 && n[4] < 60 && n[5] < 60 &&
         n[6] < 24 && n[7] < 60 && n[8] < 60;
}

bool is_word(std::string_view text) {
  constexpr std::string_view words[] = {"",     "~",     "null",  "Null",  "NULL",  "y",     "Y",     "yes",
                                        "Yes",  "YES",   "true",  "True",  "TRUE",  "on",    "On",    "ON",
                                        "n",    "N",     "no",    "No",    "NO",    "false", "False", "FALSE",
                                        "off",  "Off",   "OFF",   ".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",
                                        ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};
  for (const auto word : words)
    if (word == text) return true;
  return false;
}

bool is_letter(std::uint32_t c) { return c < 0x80 ? std::isalpha(static_cast<int>(c)) != 0 : c > 0xBF; }
bool is_digit(std::uint32_t c) { return c >= '0' && c <= '9'; }

}  // namespace

bool resolves_to_other_type(std::string_view text) {
  if (is_word(text)) return true;
  const char first = text[0];
  if (first != '+' && first != '-' && first != '.' && !is_digit(static_cast<unsigned char>(first)))
    return false;
  static const RE2 base60(R"([-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)");
  std::string plain;
  for (const char c : text)
    if (c != '_' || first == '.') plain += c;
  return is_number(plain) || is_time(text) || RE2::FullMatch(std::string(text), base60);
}

ScalarStyle scalar_style(std::string_view text, bool is_key) {
  const Analysis found = analyze(text);
  if (text.find('\n') != std::string_view::npos) {
    return is_key || !found.can_be_literal ? ScalarStyle::double_quoted : ScalarStyle::literal;
  }
  if (resolves_to_other_type(text) || (is_key && found.is_multiline)) return ScalarStyle::double_quoted;
  if (found.can_be_plain) return ScalarStyle::plain;
  return found.can_be_single_quoted ? ScalarStyle::single_quoted : ScalarStyle::double_quoted;
}

bool key_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, width_a = 0, width_b = 0;
  for (; i < a.size() && i < b.size(); i += width_a) {
    const auto ca = decode(a, i, width_a), cb = decode(b, i, width_b);
    if (ca == cb) continue;
    const bool letter_a = is_letter(ca), letter_b = is_letter(cb);
    if (letter_a && letter_b) return ca < cb;
    if (letter_a || letter_b) return letter_b;
    // A zero within a number counts as a digit of it, not as a leading zero.
    std::uint64_t number_a = 0, number_b = 0;
    if (ca == '0' || cb == '0')
      for (std::size_t j = i; j > 0 && is_digit(static_cast<unsigned char>(a[j - 1])); --j)
        if (a[j - 1] != '0') {
          number_a = number_b = 1;
          break;
        }
    std::size_t end_a = i, end_b = i;
    for (; end_a < a.size() && is_digit(static_cast<unsigned char>(a[end_a])); ++end_a)
      number_a = number_a * 10 + static_cast<unsigned>(a[end_a] - '0');
    for (; end_b < b.size() && is_digit(static_cast<unsigned char>(b[end_b])); ++end_b)
      number_b = number_b * 10 + static_cast<unsigned>(b[end_b] - '0');
    if (number_a != number_b) return number_a < number_b;
    if (end_a != end_b) return end_a < end_b;
    return ca < cb;
  }
  return a.size() < b.size();
}

}  // namespace rusternetes::api_server
