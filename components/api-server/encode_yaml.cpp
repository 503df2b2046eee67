#include "api-server/encode_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "api-server/yaml_scalar.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

constexpr std::size_t fold_width = 80;
constexpr std::size_t simple_key_length = 128;  // bytes; a longer key is written behind "? "

class YamlWriter {
 public:
  std::string take() { return std::move(out_); }

  void document(const Value& value) {
    if (is_block(value)) {
      collection(value, 0, true);
    } else {
      scalar(value, 0);
      newline();
    }
  }

 private:
  static bool is_block(const Value& value) {
    return (value.kind == ValueKind::map || value.kind == ValueKind::list) && value.size > 0;
  }

  void put(char c) {
    out_ += c;
    // Continuation bytes of a character take no column.
    if ((static_cast<unsigned char>(c) & 0xC0u) != 0x80u) ++column_;
  }
  void put(std::string_view text) {
    for (const char c : text) put(c);
  }
  void newline() {
    out_ += '\n';
    column_ = 0;
  }
  void start_line(std::size_t indent) {
    if (column_ > 0) newline();
    pad(indent);
  }
  void pad(std::size_t indent) {
    while (column_ < indent) put(' ');
  }

  // `is_placed`: the first entry goes where the writer stands (behind "- ", or at the very start).
  void collection(const Value& value, std::size_t indent, bool is_placed) {
    if (value.kind == ValueKind::map)
      mapping(value, indent, is_placed);
    else
      sequence(value, indent, is_placed);
  }

  void mapping(const Value& value, std::size_t indent, bool is_placed) {
    std::vector<const Value*> keys;
    for (std::size_t i = 0; i < value.size; ++i) keys.push_back(value.items + 2 * i);
    std::sort(keys.begin(), keys.end(),
              [](const Value* a, const Value* b) { return key_less(a->str(), b->str()); });
    for (const Value* key : keys) {
      if (!is_placed) start_line(indent);
      is_placed = false;
      entry(key->str(), key[1], indent);
    }
  }

  void entry(std::string_view key, const Value& value, std::size_t indent) {
    const bool is_simple = key.size() <= simple_key_length && key.find('\n') == std::string_view::npos;
    if (is_simple) {
      text(key, true, indent);
      put(':');
      if (!is_block(value)) {
        put(' ');
        scalar(value, indent);
      } else {
        // A list stands at its key's own column.
        collection(value, value.kind == ValueKind::list ? indent : indent + 2, false);
      }
      return;
    }
    put("? ");
    text(key, false, indent);
    start_line(indent);
    put(':');
    if (is_block(value)) {
      pad(indent + 2);
      collection(value, indent + 2, true);
    } else {
      put(' ');
      scalar(value, indent);
    }
  }

  void sequence(const Value& value, std::size_t indent, bool is_placed) {
    for (const Value& item : value.children()) {
      if (!is_placed) start_line(indent);
      is_placed = false;
      put("- ");
      if (is_block(item))
        collection(item, indent + 2, true);
      else
        scalar(item, indent);
    }
  }

  void scalar(const Value& value, std::size_t indent) {
    switch (value.kind) {
      case ValueKind::null:
        return put("null");
      case ValueKind::boolean:
        return put(value.boolean ? "true" : "false");
      case ValueKind::integer:
        return put(std::to_string(value.integer));
      case ValueKind::floating:
        return put(number(value.floating));
      case ValueKind::map:
        return put("{}");
      case ValueKind::list:
        return put("[]");
      default:
        return text(value.str(), false, indent);
    }
  }

  // As Go's 'g' format: the shortest digits, exponents of two digits at least, from 1e+21 on and below 1e-4.
  static std::string number(double value) {
    std::string out = fmt::format("{}", value);
    const auto e = out.find('e');
    if (e == std::string::npos && (value >= 1e21 || value <= -1e21)) out = fmt::format("{:e}", value);
    return out.ends_with(".0") ? out.substr(0, out.size() - 2) : out;
  }

  void text(std::string_view value, bool is_key, std::size_t indent) {
    switch (scalar_style(value, is_key)) {
      case ScalarStyle::plain:
        return folded(value, is_key, indent, false);
      case ScalarStyle::single_quoted:
        put('\'');
        folded(value, is_key, indent, true);
        return put('\'');
      case ScalarStyle::double_quoted:
        return double_quoted(value, is_key, indent);
      case ScalarStyle::literal:
        return literal(value, indent);
    }
  }

  // A line ends at the first single space behind the width.
  void folded(std::string_view value, bool is_key, std::size_t indent, bool is_quoted) {
    bool was_space = false;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const char c = value[i];
      if (c == ' ') {
        const bool is_inner = !is_quoted || (i > 0 && i + 1 < value.size());
        const bool is_single = i + 1 >= value.size() || value[i + 1] != ' ';
        if (!is_key && !was_space && column_ > fold_width && is_inner && is_single)
          start_line(indent + 2);
        else
          put(' ');
        was_space = true;
      } else {
        if (is_quoted && c == '\'') put('\'');
        put(c);
        was_space = false;
      }
    }
  }

  void double_quoted(std::string_view value, bool is_key, std::size_t indent) {
    put('"');
    bool was_space = false;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const char c = value[i];
      if (c == ' ') {
        if (!is_key && !was_space && column_ > fold_width && i > 0 && i + 1 < value.size()) {
          start_line(indent + 2);
          if (value[i + 1] == ' ') put('\\');
        } else {
          put(' ');
        }
        was_space = true;
        continue;
      }
      was_space = false;
      i += escaped(value, i);
    }
    put('"');
  }

  // Writes the character at `at`; returns how many more bytes it has.
  std::size_t escaped(std::string_view value, std::size_t at) {
    const auto c = static_cast<unsigned char>(value[at]);
    constexpr std::pair<char, char> short_forms[] = {{'\0', '0'},   {'\a', 'a'}, {'\b', 'b'}, {'\t', 't'},
                                                     {'\n', 'n'},   {'\v', 'v'}, {'\f', 'f'}, {'\r', 'r'},
                                                     {'\x1b', 'e'}, {'"', '"'},  {'\\', '\\'}};
    for (const auto& [from, to] : short_forms)
      if (value[at] == from) {
        put('\\');
        put(to);
        return 0;
      }
    if (c < 0x20 || c == 0x7F) {
      put(fmt::format("\\x{:02X}", c));
      return 0;
    }
    const std::size_t width = c < 0xC0 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    std::uint32_t code = width == 1 ? c : c & (0xFFu >> (width + 1));
    for (std::size_t i = 1; i < width && at + i < value.size(); ++i)
      code = code << 6 | (static_cast<unsigned char>(value[at + i]) & 0x3Fu);
    if (width == 4)
      put(fmt::format("\\U{:08X}", code));
    else if (code == 0x85 || code == 0xA0)
      put(code == 0x85 ? "\\N" : "\\_");
    else if (code == 0x2028 || code == 0x2029)
      put(code == 0x2028 ? "\\L" : "\\P");
    else if (code > 0x7F && code < 0xA0)
      put(fmt::format("\\x{:02X}", code));
    else if (code == 0xFEFF || code == 0xFFFE || code == 0xFFFF)
      put(fmt::format("\\u{:04X}", code));
    else
      put(value.substr(at, width));
    return width - 1;
  }

  void literal(std::string_view value, std::size_t indent) {
    put('|');
    if (value[0] == ' ' || value[0] == '\n') put('2');
    if (value.back() != '\n')
      put('-');
    else if (value.size() == 1 || value[value.size() - 2] == '\n')
      put('+');
    bool at_start = true;
    newline();
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\n') {
        newline();
        at_start = true;
        continue;
      }
      if (at_start) pad(indent + 2);
      at_start = false;
      put(value[i]);
    }
  }

  std::string out_;
  std::size_t column_ = 0;
};

}  // namespace

std::string yaml_of_json(std::string_view json) {
  Arena arena;
  auto value = decode_json_any(arena, json);
  if (!value) return {};
  YamlWriter writer;
  writer.document(*value);
  std::string out = writer.take();
  if (!out.ends_with('\n')) out += '\n';
  return out;
}

}  // namespace rusternetes::api_server
