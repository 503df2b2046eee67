#include "http/header_text.h"

#include <algorithm>

namespace rusternetes::http {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower_case(c);
  return out;
}

std::string uncapitalized(std::string_view text) {
  std::string out(text);
  if (out.size() > 1 && out[1] >= 'a' && out[1] <= 'z') out[0] = lower_case(out[0]);
  return out;
}

std::vector<std::string> comma_separated(std::string_view list) {
  std::vector<std::string> out;
  for (bool is_last = false; !is_last;) {
    const auto comma = list.find(',');
    is_last = comma == std::string_view::npos;
    std::string_view part = list.substr(0, comma);
    if (!is_last) list.remove_prefix(comma + 1);
    while (!part.empty() && is_blank(part.front())) part.remove_prefix(1);
    while (!part.empty() && is_blank(part.back())) part.remove_suffix(1);
    if (!part.empty()) out.emplace_back(part);
  }
  return out;
}

std::vector<std::string> comma_separated(const Headers& headers, std::string_view name) {
  std::vector<std::string> out;
  for (const auto list : headers.all(name))
    for (auto& part : comma_separated(list)) out.push_back(std::move(part));
  return out;
}

bool is_upgrade(const Headers& headers) {
  for (const auto value : headers.all("connection"))
    if (lower_case(value).find("upgrade") != std::string::npos) return true;
  return false;
}

}  // namespace rusternetes::http
