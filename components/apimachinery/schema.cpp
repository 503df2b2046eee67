#include "apimachinery/schema.h"

#include <array>

namespace rusternetes::apimachinery {

int Type::find(std::string_view field_name) const {
  if (name_slots.empty()) return -1;
  const std::size_t mask = name_slots.size() - 1;
  for (std::size_t at = field_name_hash(field_name) & mask;; at = (at + 1) & mask) {
    const std::uint16_t slot = name_slots[at];
    if (slot == 0) return -1;
    if (fields[slot - 1].name == field_name) return slot - 1;
  }
}

std::string GroupVersion::text() const {
  if (group.empty()) return std::string(version);
  std::string out(group);
  out += '/';
  out += version;
  return out;
}

const Subresource* Kind::find_subresource(std::string_view name) const {
  for (const auto& sub : subresources)
    if (sub.name == name) return &sub;
  return nullptr;
}

namespace {
constexpr std::array<std::string_view, 8> verb_words = {"create", "delete", "deletecollection", "get",
                                                         "list",   "patch",  "update",           "watch"};
}

std::uint16_t parse_verbs(std::string_view words) {
  if (words == "all") return 255;
  std::uint16_t verbs = 0;
  while (!words.empty()) {
    auto comma = words.find(',');
    auto word = words.substr(0, comma);
    words = comma == std::string_view::npos ? std::string_view{} : words.substr(comma + 1);
    bool found = false;
    for (std::size_t i = 0; i < verb_words.size(); ++i)
      if (verb_words[i] == word) verbs |= 1u << i, found = true;
    if (!found) return 0;
  }
  return verbs;
}

std::vector<std::string_view> verb_names(std::uint16_t verbs) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < verb_words.size(); ++i)
    if (verbs & (1u << i)) names.push_back(verb_words[i]);
  return names;
}

}  // namespace rusternetes::apimachinery
