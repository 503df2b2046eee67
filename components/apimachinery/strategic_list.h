#pragma once
// The lists of strategic merge patches: finding items by key, and the order in which merged items stand. Part
// of strategic_patch.cpp.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery::strategic {

// A view of a list's cells that may be cut and extended in place, like the slices of Kubernetes'
// implementation: an older view of the same cells sees what a newer one writes, and the order of merged lists
// depends on that.
struct Slice {
  Value* items = nullptr;
  std::uint32_t size = 0, capacity = 0;

  static Slice of(const Value& list) { return {list.items, list.size, list.size}; }
  Value value() const;
  Value& operator[](std::size_t i) const { return items[i]; }
  Value* begin() const { return items; }
  Value* end() const { return items + size; }
  void push_back(Arena& arena, const Value& item);
  void erase(std::size_t index);
};

// What a list's items are told apart by: themselves (empty merge key) or the value of a key.
// Null when the item is no map or has not the key.
const Value* key_of(const Value& item, std::string_view merge_key);
// Equal scalars of the same kind; lists and maps equal nothing.
bool same_scalar(const Value& a, const Value& b);

// The first position of each key in a list. Cheap for short lists, hashed for long ones.
class KeyIndex {
 public:
  KeyIndex(const Slice& list, std::string_view merge_key);
  // -1: not there.
  int find(const Value& key) const;
  void add(const Value& key, std::size_t position);

 private:
  static std::string text_of(const Value& key);
  Slice list_;
  std::string_view merge_key_;
  bool is_hashed_ = false;
  std::unordered_map<std::string, int> positions_;
};

// Drops repetitions; a dropped item's place is taken by the last one.
void deduplicate(Slice& list);

// `merged` is split into what `order` names and what only the server has; both are sorted (by `order`, by
// `server_order`) and woven together so that server-only items keep their places relative to `server_order`
// where they can.
Result<Slice> arrange(Arena& arena, const Slice& merged, const Slice& order, const Slice& server_order,
                      std::string_view merge_key, bool are_maps);

// How Go prints a value with %v; error texts hold it.
void append_go_text(std::string& out, const Value& value);
Status plain_error(std::string message);
Status no_merge_key(const Value& map, std::string_view key);
Status not_a_map(const Value& value);
Status not_a_list(const Value& value);

}  // namespace rusternetes::apimachinery::strategic
