#include "api-server/openapi/gnostic_yaml.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cctype>
#include <string_view>

namespace rusternetes::api_server::openapi {
namespace {

namespace json = boost::json;

// Text that every YAML reader takes for text without quotes.
bool is_plain(std::string_view text) {
  constexpr std::string_view words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || !((text[0] >= 'A' && text[0] <= 'Z') || (text[0] >= 'a' && text[0] <= 'z')))
    return false;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::find(std::begin(words), std::end(words), lower) != std::end(words)) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '+' || c == ',' || c == '_' || c == '/';
  });
}

// JSON's quoted text is YAML's double-quoted text.
std::string scalar(const json::value& value) {
  if (value.is_string()) {
    const std::string_view text(value.get_string().data(), value.get_string().size());
    if (is_plain(text)) return std::string(text);
    if (text == "*") return "'*'";
  }
  return json::serialize(value);
}

bool is_block(const json::value& value) {
  return (value.is_object() && !value.get_object().empty()) ||
         (value.is_array() && !value.get_array().empty());
}

void write(std::string& out, const json::value& value, std::size_t indent);

void write_object(std::string& out, const json::object& object, std::size_t indent, bool is_first_placed) {
  for (const auto& entry : object) {
    if (!is_first_placed) out.append(indent, ' ');
    is_first_placed = false;
    out += scalar(json::value(json::string(entry.key())));
    out += ':';
    if (is_block(entry.value())) {
      out += '\n';
      write(out, entry.value(), indent + 2);
    } else {
      out += ' ' + scalar(entry.value()) + '\n';
    }
  }
}

void write(std::string& out, const json::value& value, std::size_t indent) {
  if (!is_block(value)) {
    out.append(indent, ' ');
    out += scalar(value) + '\n';
  } else if (value.is_object()) {
    write_object(out, value.get_object(), indent, false);
  } else {
    for (const auto& one : value.get_array()) {
      out.append(indent, ' ');
      if (one.is_object() && !one.get_object().empty()) {
        out += "- ";
        write_object(out, one.get_object(), indent + 2, true);
      } else if (is_block(one)) {
        out += "- " + json::serialize(one) + '\n';  // a list in a list: flow style
      } else {
        out += "- " + scalar(one) + '\n';
      }
    }
  }
}

}  // namespace

std::string yaml_text(const json::value& value) {
  std::string out;
  write(out, value, 0);
  return out;
}

}  // namespace rusternetes::api_server::openapi
