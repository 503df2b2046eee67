#include "apimachinery/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>

namespace rusternetes::apimachinery {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// YAML 1.1's core types of plain scalars, as go-yaml resolves them.
enum class Scalar { null, yes, no, number, text };
Scalar classify(const std::string& s) {
  if (is_one_of(s, {"", "~", "null", "Null", "NULL"})) return Scalar::null;
  if (is_one_of(s, {"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})) return Scalar::yes;
  if (is_one_of(s, {"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"})) return Scalar::no;
  std::size_t at = s[0] == '-' || s[0] == '+' ? 1 : 0;
  bool digit = false, is_number = at < s.size();
  int dots = 0, exponents = 0;
  for (; at < s.size() && is_number; ++at) {
    const char c = s[at];
    if (c >= '0' && c <= '9') digit = true;
    else if (c == '.' && !dots && !exponents) ++dots;
    else if ((c == 'e' || c == 'E') && digit && !exponents && at + 1 < s.size()) {
      ++exponents;
      if (s[at + 1] == '+' || s[at + 1] == '-') ++at;
    } else is_number = false;
  }
  return is_number && digit ? Scalar::number : Scalar::text;
}

// A JSON number for what YAML writes more freely: "+1", ".5", "1.", "010" (octal in YAML 1.1).
std::string json_number(std::string s) {
  if (s[0] == '+') s.erase(0, 1);
  const bool is_negative = s[0] == '-';
  std::string digits = is_negative ? s.substr(1) : s;
  if (digits.find_first_not_of("01234567") == std::string::npos && digits.size() > 1 && digits[0] == '0') {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (error == std::errc()) digits = std::to_string(value);
    else digits.erase(0, digits.find_first_not_of('0'));  // too large for octal: as the decimal number it looks like
  }
  if (digits[0] == '.') digits = "0" + digits;
  if (const auto dot = digits.find('.'); dot != std::string::npos && (dot + 1 == digits.size() || digits[dot + 1] == 'e')) digits.insert(dot + 1, "0");
  return (is_negative ? "-" : "") + digits;
}

constexpr int max_depth = 100;

// Hands a document on, in the order of its text. An alias stands for all of its anchor's node, and aliases of aliases for
// more than any memory holds, so what comes out is bounded by what went in.
class Sender {
 public:
  Sender(TypedBuilder& builder, std::size_t text_size) : builder_(builder), left_(4 * text_size + (1u << 20)) {}

  bool send(const YAML::Node& node, int depth) {
    if (depth > max_depth) return fail("nested too deeply");
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: return take(1) && builder_.null();
      case YAML::NodeType::Scalar: return send_scalar(node);
      case YAML::NodeType::Sequence:
        if (!take(1) || !builder_.begin_array()) return false;
        for (const auto& item : node)
          if (!send(item, depth + 1)) return false;
        return builder_.end_array();
      case YAML::NodeType::Map:
        if (!take(1) || !builder_.begin_object()) return false;
        for (const auto& pair : node) {
          const std::string& key = pair.first.Scalar();
          if (!take(key.size()) || !builder_.key(key) || !send(pair.second, depth + 1)) return false;
        }
        return builder_.end_object();
    }
    return false;
  }
  // Empty where the builder knows what was wrong.
  std::string_view complaint() const { return complaint_; }

 private:
  bool fail(std::string_view complaint) {
    complaint_ = complaint;
    return false;
  }
  bool take(std::size_t size) {
    if (size >= left_) return fail("yaml: document contains excessive aliasing");
    left_ -= size;
    return true;
  }
  bool send_scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (!take(text.size() + 1)) return false;
    if (node.Tag() == "!") return builder_.string(text);  // quoted
    switch (classify(text)) {
      case Scalar::null: return builder_.null();
      case Scalar::yes: return builder_.boolean(true);
      case Scalar::no: return builder_.boolean(false);
      case Scalar::number: return builder_.number(json_number(text));
      case Scalar::text: return builder_.string(text);
    }
    return false;
  }

  TypedBuilder& builder_;
  std::size_t left_;  // bytes of scalars and keys, and one a node
  std::string_view complaint_;
};

// Any JSON value as yaml-cpp's emitter writes it; strings that would be read as something else are quoted.
void emit(YAML::Emitter& out, const Value& value) {
  switch (value.kind) {
    case ValueKind::list:
      out << YAML::BeginSeq;
      for (const auto& item : value.children()) emit(out, item);
      out << YAML::EndSeq;
      return;
    case ValueKind::map:
      out << YAML::BeginMap;
      for (std::uint32_t i = 0; i < value.size; ++i) {
        out << YAML::Key << std::string(value.items[2 * i].str()) << YAML::Value;
        emit(out, value.items[2 * i + 1]);
      }
      out << YAML::EndMap;
      return;
    case ValueKind::string: {
      const std::string text(value.str());
      if (text.find('\n') != std::string::npos) out << YAML::Literal << text;
      else if (classify(text) != Scalar::text) out << YAML::DoubleQuoted << text;
      else out << text;
      return;
    }
    default: {
      std::string text;
      encode_json_any(text, value);
      out << text;
    }
  }
}

}  // namespace

Result<Value> decode_yaml(Arena& arena, std::string_view text, const Type& type, DecodeIssues* issues) {
  TypedBuilder builder(arena, type, issues);
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    Sender sender(builder, text.size());
    if (!sender.send(node, 0)) {
      if (sender.complaint().empty()) return builder.error();
      return Status{400, "BadRequest", fmt::format("error converting YAML to JSON: {}", sender.complaint())};
    }
  } catch (const YAML::Exception& error) {
    return Status{400, "BadRequest", fmt::format("error converting YAML to JSON: yaml: {}", error.what())};
  }
  if (!builder.is_complete()) return Status{400, "BadRequest", "error converting YAML to JSON: the document is empty"};
  return builder.result();
}

std::string yaml_from_json(std::string_view json) {
  Arena arena;
  auto any = decode_json_any(arena, json);
  if (!any) return {};
  YAML::Emitter out;
  out.SetIndent(2);
  emit(out, *any);
  return std::string(out.c_str()) + "\n";
}

}  // namespace rusternetes::apimachinery
