// FieldsV1. The text is read without the JSON decoder: it is parsed and written with every request that
// changes an object.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "apimachinery/errors.h"
#include "apimachinery/field_set.h"
#include "apimachinery/json.h"
#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

// A member's name in FieldsV1: only what JSON demands is escaped.
void append_escaped(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += hex[static_cast<unsigned char>(c) >> 4];
        out += hex[c & 15];
    }
  }
}

void append_quoted_name(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

void append_members(std::string& out, const FieldSet& set, bool is_first, std::string& scratch) {
  for (const auto& entry : set.all()) {
    if (!is_first) out += ',';
    is_first = false;
    if (entry.element.kind == PathElement::Kind::field) {
      out += "\"f:";
      append_escaped(out, entry.element.name());
      out += '"';
    } else {
      scratch.clear();
      append_path_element(scratch, entry.element);
      append_quoted_name(out, scratch);
    }
    out += ":{";
    const bool marks_self = entry.is_member && !entry.children.empty();
    if (marks_self) out += "\".\":{}";
    append_members(out, entry.children, !marks_self, scratch);
    out += '}';
  }
}

class Parser {
 public:
  Parser(Arena& arena, std::string_view text)
      : arena_(arena), at_(text.data()), end_(text.data() + text.size()) {}

  struct Node {
    FieldSet children;
    bool is_member = false;
  };

  // An object whose names are path elements. An object without known names is a leaf.
  bool node(Node& out, int depth) {
    if (depth > max_depth) return false;
    skip_space();
    if (word("null")) {
      out = {{}, true};
      return true;
    }
    if (!take('{')) return false;
    const std::size_t start = stack_.size();
    bool is_member = false;
    if (!take('}')) {
      do {
        std::string_view name;
        if (!string(name) || !take(':')) return false;
        if (name == ".") {
          is_member = true;
          if (!skip_value(depth)) return false;
        } else if (!member(name, depth)) {
          return false;
        }
      } while (take(','));
      if (!take('}')) return false;
    }
    out.children = make_field_set(arena_, std::span(stack_).subspan(start));
    out.is_member = is_member || out.children.empty();
    stack_.resize(start);
    return true;
  }

 private:
  static constexpr int max_depth = 512;

  bool member(std::string_view name, int depth) {
    if (name.size() < 2 || name[1] != ':') return false;
    PathElement element;
    switch (name[0]) {
      case 'f':
        element = PathElement::of_field(name.substr(2));
        break;
      case 'k':
        if (!keys(name.substr(2), element)) return false;
        break;
      case 'v': {
        auto value = first_value(name.substr(2));
        if (!value) return false;
        auto* kept = static_cast<Value*>(arena_.allocate(sizeof(Value)));
        *kept = *value;
        element = PathElement::of_value(kept);
        break;
      }
      case 'i': {
        std::int64_t index = 0;
        const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), index);
        if (error != std::errc{} || end != name.data() + name.size()) return false;
        element = PathElement::of_index(index);
        break;
      }
      default:
        return skip_value(depth);  // of a later version
    }
    Node below;
    if (!node(below, depth + 1)) return false;
    stack_.push_back({element, below.children, below.is_member});
    return true;
  }

  // {"name":"a","port":80}: mostly one short text, so that the general decoder is the exception.
  bool keys(std::string_view json, PathElement& out) {
    if (json.size() > 8 && json.starts_with("{\"") && json.ends_with("\"}")) {
      const auto middle = json.find("\":\"", 2);
      if (middle != std::string_view::npos) {
        const auto name = json.substr(2, middle - 2),
                   text = json.substr(middle + 3, json.size() - middle - 5);
        if (name.find_first_of("\"\\") == std::string_view::npos &&
            text.find_first_of("\"\\") == std::string_view::npos) {
          auto* field = static_cast<PathElement::KeyField*>(arena_.allocate(sizeof(PathElement::KeyField)));
          std::construct_at(field, PathElement::KeyField{name, Value::of_text(text)});
          out = PathElement::of_keys({field, 1});
          return true;
        }
      }
    }
    auto object = first_value(json);
    if (!object || (object->kind != ValueKind::map && !object->is_null())) return false;
    const std::uint32_t count = object->kind == ValueKind::map ? object->size : 0;
    auto* fields =
        static_cast<PathElement::KeyField*>(arena_.allocate(count * sizeof(PathElement::KeyField)));
    for (std::uint32_t i = 0; i < count; ++i)
      std::construct_at(fields + i,
                        PathElement::KeyField{object->items[2 * i].str(), object->items[2 * i + 1]});
    out = PathElement::of_keys({fields, count});
    return true;
  }

  // What follows the value is not looked at, as there.
  Result<Value> first_value(std::string_view json) {
    Parser extent(arena_, json);
    if (!extent.skip_value(0)) return bad_request("no value");
    return decode_json_any(arena_, json.substr(0, static_cast<std::size_t>(extent.at_ - json.data())));
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size() || std::string_view(at_, text.size()) != text)
      return false;
    at_ += text.size();
    return true;
  }

  // The text itself where nothing is escaped, else a copy in the arena.
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    const char* start = at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\') ++at_;
    if (at_ == end_) return false;
    if (*at_ == '"') {
      out = {start, static_cast<std::size_t>(at_++ - start)};
      return true;
    }
    std::string text(start, static_cast<std::size_t>(at_ - start));
    while (at_ != end_ && *at_ != '"') {
      if (*at_ != '\\') {
        text += *at_++;
        continue;
      }
      if (++at_ == end_ || !escape(text)) return false;
    }
    if (at_ == end_) return false;
    ++at_;
    out = arena_.copy(text);
    return true;
  }

  bool escape(std::string& text) {
    const char c = *at_++;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        text += c;
        return true;
      case 'b':
        text += '\b';
        return true;
      case 'f':
        text += '\f';
        return true;
      case 'n':
        text += '\n';
        return true;
      case 'r':
        text += '\r';
        return true;
      case 't':
        text += '\t';
        return true;
      case 'u':
        break;
      default:
        return false;
    }
    char32_t code = 0;
    if (!hex(code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      const char* back = at_;
      char32_t low = 0;
      at_ += 2;
      if (!hex(low)) return false;
      if (low >= 0xDC00 && low < 0xE000)
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      else
        at_ = back;
    }
    append_utf8(text, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return true;
  }

  bool hex(char32_t& code) {
    if (end_ - at_ < 4) return false;
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(at_, at_ + 4, value, 16);
    if (error != std::errc{} || end != at_ + 4) return false;
    code = value;
    at_ += 4;
    return true;
  }

  // Anything that is balanced; what is dropped is not looked at closely.
  bool skip_value(int depth) {
    if (depth > max_depth) return false;
    skip_space();
    if (at_ == end_) return false;
    std::string_view ignored;
    if (*at_ == '"') return string(ignored);
    if (*at_ == '{' || *at_ == '[') {
      const bool is_object = *at_ == '{';
      const char close = is_object ? '}' : ']';
      ++at_;
      if (take(close)) return true;
      do {
        if (is_object && (!string(ignored) || !take(':'))) return false;
        if (!skip_value(depth + 1)) return false;
      } while (take(','));
      return take(close);
    }
    const char* start = at_;
    while (at_ != end_ &&
           (std::isalnum(static_cast<unsigned char>(*at_)) || *at_ == '-' || *at_ == '+' || *at_ == '.'))
      ++at_;
    return at_ != start;
  }

  Arena& arena_;
  const char* at_;
  const char* end_;
  std::vector<FieldSet::Entry> stack_;
};

}  // namespace

void append_path_element(std::string& out, const PathElement& element) {
  switch (element.kind) {
    case PathElement::Kind::field:
      out += "f:";
      out += element.name();
      return;
    case PathElement::Kind::key: {
      out += "k:{";
      bool is_first = true;
      for (const auto& field : element.key_fields()) {
        if (!is_first) out += ',';
        is_first = false;
        append_quoted_name(out, field.name);
        out += ':';
        encode_json_any(out, field.value);
      }
      out += '}';
      return;
    }
    case PathElement::Kind::value:
      out += "v:";
      encode_json_any(out, *element.value);
      return;
    case PathElement::Kind::index:
      out += "i:";
      out += fmt::format_int(element.index).c_str();
  }
}

void append_fields_v1(std::string& out, const FieldSet& set) {
  std::string scratch;
  out += '{';
  append_members(out, set, true, scratch);
  out += '}';
}

Result<FieldSet> parse_fields_v1(Arena& arena, std::string_view json) {
  Parser parser(arena, json);
  Parser::Node root;
  if (!parser.node(root, 0)) return bad_request("error decoding set of fields");
  return root.children;
}

}  // namespace rusternetes::apimachinery
