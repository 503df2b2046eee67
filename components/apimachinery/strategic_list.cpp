#include "apimachinery/strategic_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace rusternetes::apimachinery::strategic {

Value Slice::value() const {
  Value list = Value::empty(ValueKind::list);
  list.items = items;
  list.size = size;
  return list;
}

void Slice::push_back(Arena& arena, const Value& item) {
  const Value copy = item;
  if (size == capacity) {
    const std::uint32_t room = std::max<std::uint32_t>(4, 2 * capacity);
    auto* cells = static_cast<Value*>(arena.allocate(room * sizeof(Value)));
    if (size) std::memcpy(static_cast<void*>(cells), items, size * sizeof(Value));
    items = cells;
    capacity = room;
  }
  items[size++] = copy;
}

void Slice::erase(std::size_t index) {
  std::memmove(static_cast<void*>(items + index), items + index + 1, (size - index - 1) * sizeof(Value));
  --size;
}

const Value* key_of(const Value& item, std::string_view merge_key) {
  return merge_key.empty() ? &item : item.lookup(merge_key);
}

bool same_scalar(const Value& a, const Value& b) {
  return a.kind != ValueKind::map && a.kind != ValueKind::list && equal(a, b);
}

KeyIndex::KeyIndex(const Slice& list, std::string_view merge_key) : list_(list), merge_key_(merge_key) {
  constexpr std::uint32_t worth_hashing = 24;
  is_hashed_ = list.size > worth_hashing;
  if (!is_hashed_) return;
  for (std::uint32_t i = 0; i < list.size; ++i)
    if (const Value* key = key_of(list[i], merge_key)) positions_.emplace(text_of(*key), static_cast<int>(i));
}

int KeyIndex::find(const Value& key) const {
  if (is_hashed_) {
    if (key.kind == ValueKind::map || key.kind == ValueKind::list) return -1;
    const auto found = positions_.find(text_of(key));
    return found == positions_.end() ? -1 : found->second;
  }
  for (std::uint32_t i = 0; i < list_.size; ++i)
    if (const Value* present = key_of(list_[i], merge_key_); present && same_scalar(*present, key))
      return static_cast<int>(i);
  // The list may have grown since.
  if (positions_.empty()) return -1;
  const auto found = positions_.find(text_of(key));
  return found == positions_.end() ? -1 : found->second;
}

void KeyIndex::add(const Value& key, std::size_t position) {
  positions_.emplace(text_of(key), static_cast<int>(position));
}

std::string KeyIndex::text_of(const Value& key) {
  std::string text(1, static_cast<char>('a' + static_cast<int>(key.kind)));
  append_go_text(text, key);
  return text;
}

void deduplicate(Slice& list) {
  if (list.size < 2) return;
  constexpr std::uint32_t small = 64;
  if (list.size > small) {  // the same set in linear time; later sorting settles the order
    std::unordered_map<std::string, bool> seen;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < list.size; ++i) {
      std::string text(1, static_cast<char>('a' + static_cast<int>(list[i].kind)));
      append_go_text(text, list[i]);
      if (seen.emplace(std::move(text), true).second) list[kept++] = list[i];
    }
    list.size = kept;
    return;
  }
  for (std::uint32_t i = 0; i + 1 < list.size; ++i)
    for (std::uint32_t j = i + 1; j < list.size;) {
      if (!same_scalar(list[i], list[j])) {
        ++j;
        continue;
      }
      list[j] = list[list.size - 1];
      --list.size;
    }
}

namespace {

// One item with its places in the two orders; -1: not named there.
struct Ranked {
  Value item;
  int rank = -1, server_rank = -1;
};

// An item that the order does not name counts as less than any; with fewer than 21 items Go's stable sort is
// an insertion sort, whose outcome under such a comparison is copied here.
void sort_as_go(std::vector<Ranked>& items, int Ranked::*rank) {
  auto is_less = [rank](const Ranked& a, const Ranked& b) {
    return a.*rank >= 0 && b.*rank >= 0 ? a.*rank < b.*rank : true;
  };
  const bool all_named =
      std::all_of(items.begin(), items.end(), [rank](const Ranked& r) { return r.*rank >= 0; });
  if (all_named || items.size() > 20) {
    std::stable_sort(items.begin(), items.end(),
                     [rank](const Ranked& a, const Ranked& b) { return a.*rank < b.*rank; });
    return;
  }
  for (std::size_t i = 1; i < items.size(); ++i)
    for (std::size_t j = i; j > 0 && is_less(items[j], items[j - 1]); --j) std::swap(items[j], items[j - 1]);
}

bool is_deletion(const Value& item) {
  const Value* directive = item.lookup("$patch");
  return directive && directive->str() == "delete";
}

// Deletions stand last.
void sort_items(std::vector<Ranked>& items, int Ranked::*rank, bool are_maps) {
  std::vector<Ranked> deletions;
  if (are_maps) {
    auto first = std::stable_partition(items.begin(), items.end(),
                                       [](const Ranked& r) { return !is_deletion(r.item); });
    deletions.assign(first, items.end());
    items.erase(first, items.end());
  }
  sort_as_go(items, rank);
  items.insert(items.end(), deletions.begin(), deletions.end());
}

Result<void> check_keys(const Slice& list, std::string_view merge_key) {
  for (const auto& item : list) {
    if (item.kind != ValueKind::map) return not_a_map(item);
    if (!item.lookup(merge_key)) return no_merge_key(item, merge_key);
  }
  return {};
}

}  // namespace

Result<Slice> arrange(Arena& arena, const Slice& merged, const Slice& order, const Slice& server_order,
                      std::string_view merge_key, bool are_maps) {
  if (!merge_key.empty()) RN_CHECK(check_keys(merged, merge_key));
  // A search ends at the first item that is no map.
  const auto first_bad =
      merge_key.empty()
          ? static_cast<int>(order.size)
          : static_cast<int>(std::find_if(order.begin(), order.end(),
                                          [](const Value& item) { return item.kind != ValueKind::map; }) -
                             order.begin());
  const KeyIndex ranks(order, merge_key), server_ranks(server_order, merge_key);
  std::vector<Ranked> named, server_only;
  for (const auto& item : merged) {
    const Value* key = key_of(item, merge_key);
    const Ranked ranked{item, key ? ranks.find(*key) : -1, key ? server_ranks.find(*key) : -1};
    if (first_bad < static_cast<int>(order.size) && (ranked.rank < 0 || ranked.rank > first_bad))
      return plain_error(fmt::format("value for key {} is not a map", first_bad));
    (ranked.rank >= 0 ? named : server_only).push_back(ranked);
  }
  if (are_maps) {
    RN_CHECK(check_keys(order, merge_key));
    RN_CHECK(check_keys(server_order, merge_key));
  }
  sort_items(named, &Ranked::rank, are_maps);
  sort_items(server_only, &Ranked::server_rank, are_maps);

  Slice out;
  out.capacity = merged.size;
  out.items = static_cast<Value*>(arena.allocate(std::max<std::size_t>(1, merged.size) * sizeof(Value)));
  std::size_t l = 0, r = 0;
  while (l < server_only.size() || r < named.size()) {
    bool take_left = r >= named.size();
    if (!take_left && l < server_only.size()) {
      const int left = server_only[l].server_rank, right = named[r].server_rank;
      take_left = left >= 0 && right >= 0 && left < right;
    }
    out.items[out.size++] = take_left ? server_only[l++].item : named[r++].item;
  }
  return out;
}

namespace {

// %v of a float64: the shortest text, with an exponent below 1e-4 and from 1e21.
void append_go_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    return;
  }
  const double size = std::fabs(value);
  const bool is_scientific = size != 0 && (size < 1e-4 || size >= 1e21);
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value,
                                    is_scientific ? std::chars_format::scientific : std::chars_format::fixed);
  out.append(buffer, static_cast<std::size_t>(result.ptr - buffer));
}

std::string_view go_type(const Value& value) {
  switch (value.kind) {
    case ValueKind::null:
      return "%!s(<nil>)";
    case ValueKind::boolean:
      return "bool";
    case ValueKind::integer:
      return "int64";
    case ValueKind::floating:
      return "float64";
    case ValueKind::map:
      return "map[string]interface {}";
    case ValueKind::list:
      return "[]interface {}";
    default:
      return "string";
  }
}

}  // namespace

void append_go_text(std::string& out, const Value& value) {
  switch (value.kind) {
    case ValueKind::null:
      out += "<nil>";
      return;
    case ValueKind::boolean:
      out += value.boolean ? "true" : "false";
      return;
    case ValueKind::integer:
      out += std::to_string(value.integer);
      return;
    case ValueKind::floating:
      append_go_double(out, value.floating);
      return;
    case ValueKind::list:
      out += '[';
      for (std::uint32_t i = 0; i < value.size; ++i) {
        if (i) out += ' ';
        append_go_text(out, value.items[i]);
      }
      out += ']';
      return;
    case ValueKind::map:
      out += "map[";
      for (std::uint32_t i = 0; i < value.size; ++i) {
        if (i) out += ' ';
        out += value.items[2 * i].str();
        out += ':';
        append_go_text(out, value.items[2 * i + 1]);
      }
      out += ']';
      return;
    default:
      out += value.str();
  }
}

Status plain_error(std::string message) { return {500, "", std::move(message)}; }

Status no_merge_key(const Value& map, std::string_view key) {
  std::string text = "map: ";
  append_go_text(text, map);
  text += " does not contain declared merge key: ";
  text += key;
  return plain_error(std::move(text));
}

Status not_a_map(const Value& value) {
  return plain_error(fmt::format("expected a map[string]interface {{}}, but received a {}", go_type(value)));
}

Status not_a_list(const Value& value) {
  return plain_error(fmt::format("expected a []interface {{}}, but received a {}", go_type(value)));
}

}  // namespace rusternetes::apimachinery::strategic
