#include "http/message.h"

#include <algorithm>

#include "http/header_text.h"

namespace rusternetes::http {
namespace {

// `name` is a stored, lower-case one.
bool same(std::string_view name, std::string_view wanted) {
  return name.size() == wanted.size() &&
         std::equal(name.begin(), name.end(), wanted.begin(), [](char a, char b) { return a == lower_case(b); });
}

}  // namespace

void Headers::add(std::string name, std::string value) {
  fields_.emplace_back(lower_case(name), std::move(value));
}

void Headers::set(std::string name, std::string value) {
  remove(name);
  add(std::move(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return same(field.first, name); });
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (same(key, name)) return value;
  return std::nullopt;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields_)
    if (same(key, name)) values.push_back(value);
  return values;
}

Slice Slice::own(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  std::string_view bytes = *owner;
  return Slice{bytes, std::move(owner)};
}

}  // namespace rusternetes::http
