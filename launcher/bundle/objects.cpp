#include "launcher/bundle/objects.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/bundle/redactor.h"

namespace rusternetes::launcher::bundle {
namespace {

namespace json = boost::json;

// Of these the values go, and the keys stay.
constexpr std::array<std::string_view, 4> maps{"annotations", "data", "binaryData", "stringData"};
// These go whole.
constexpr std::array<std::string_view, 3> lists{"command", "args", "managedFields"};
// Lists of {name, value}.
constexpr std::array<std::string_view, 2> named_values{"env", "httpHeaders"};

template <class Names>
bool is_one_of(std::string_view name, const Names& names) {
  for (const std::string_view one : names)
    if (name == one) return true;
  return false;
}

std::string size_of(const json::value& value) {
  return value.is_string() ? fmt::format("{} {} bytes", removed, value.get_string().size())
                           : std::string(removed);
}

void prune(json::value& value);

void prune(json::object& object) {
  for (auto& [key, value] : object) {
    const std::string_view name(key.data(), key.size());
    if (is_one_of(name, lists) && value.is_array()) {
      value = json::array{};
    } else if (is_one_of(name, maps) && value.is_object()) {
      for (auto& [inner, text] : value.get_object()) text = size_of(text);
    } else if (is_one_of(name, named_values) && value.is_array()) {
      for (json::value& one : value.get_array())
        if (one.is_object() && one.get_object().contains("value"))
          one.get_object()["value"] = std::string(removed);
    } else {
      prune(value);
    }
  }
}

void prune(json::value& value) {
  if (value.is_object()) prune(value.get_object());
  if (value.is_array())
    for (json::value& one : value.get_array()) prune(one);
}

bool is_secret(const json::value& value) {
  if (!value.is_object()) return false;
  const auto* kind = value.get_object().if_contains("kind");
  if (kind != nullptr && kind->is_string() && kind->get_string().starts_with("Secret")) return true;
  const auto* items = value.get_object().if_contains("items");
  if (items == nullptr || !items->is_array()) return false;
  for (const json::value& one : items->get_array())
    if (is_secret(one)) return true;
  return false;
}

}  // namespace

Result<std::string> without_secrets(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return internal_error("it is not JSON");
  if (is_secret(value)) return internal_error("it has Secrets");
  prune(value);
  return json::serialize(value) + "\n";
}

}  // namespace rusternetes::launcher::bundle
