#include "apimachinery/value.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rusternetes::apimachinery {
namespace {
constexpr std::size_t block_size = 16 * 1024;
std::size_t round_up(std::size_t n) { return (n + 7) & ~std::size_t{7}; }
bool has_text(ValueKind kind) {
  return kind == ValueKind::string || kind == ValueKind::bytes || kind == ValueKind::raw;
}
bool has_items(ValueKind kind) {
  return kind == ValueKind::list || kind == ValueKind::structure || kind == ValueKind::map;
}
std::size_t cells_of(const Value& value) { return value.kind == ValueKind::map ? 2ul * value.size : value.size; }
std::size_t capacity_for(std::size_t cells) { return std::bit_ceil(std::max<std::size_t>(cells, 4)); }

// Room for `more` further cells behind the present ones.
void reserve(Arena& arena, Value& value, std::size_t more) {
  const std::size_t cells = cells_of(value);
  const std::size_t have = value.growable ? capacity_for(cells) : cells;
  if (cells + more <= have) return;
  auto* items = static_cast<Value*>(arena.allocate(capacity_for(cells + more) * sizeof(Value)));
  if (cells) std::memcpy(static_cast<void*>(items), value.items, cells * sizeof(Value));
  value.items = items;
  value.growable = 1;
}

// The place of a key among a map's sorted pairs.
std::size_t place_of(const Value& map, std::string_view key) {
  std::size_t low = 0, high = map.size;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (map.items[2 * middle].str() < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
}  // namespace

void* Arena::allocate(std::size_t bytes) {
  bytes = round_up(bytes);
  if (bytes > left_) {
    const std::size_t size = std::max(bytes, block_size);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    if (bytes > block_size / 2 && at_) {  // a large piece gets a block of its own, the current one goes on
      used_ += bytes;
      return blocks_.back().get();
    }
    at_ = blocks_.back().get();
    left_ = size;
  }
  void* given = at_;
  at_ += bytes;
  left_ -= bytes;
  used_ += bytes;
  return given;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return {"", 0};
  auto* memory = static_cast<char*>(allocate(text.size()));
  std::memcpy(memory, text.data(), text.size());
  return {memory, text.size()};
}

const Value* Value::get(int index) const {
  if (kind != ValueKind::structure) return nullptr;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (items[i].field == index) return &items[i];
    if (items[i].field > index) break;
  }
  return nullptr;
}

const Value* Value::lookup(std::string_view key) const {
  if (kind != ValueKind::map) return nullptr;
  const std::size_t at = place_of(*this, key);
  return at < size && items[2 * at].str() == key ? &items[2 * at + 1] : nullptr;
}

Value Value::of(bool b) {
  Value v;
  v.kind = ValueKind::boolean;
  v.boolean = b;
  return v;
}
Value Value::of_integer(std::int64_t i) {
  Value v;
  v.kind = ValueKind::integer;
  v.integer = i;
  return v;
}
Value Value::of_double(double d) {
  Value v;
  v.kind = ValueKind::floating;
  v.floating = d;
  return v;
}
Value Value::of_time(std::int64_t microseconds) {
  Value v;
  v.kind = ValueKind::time;
  v.integer = microseconds;
  return v;
}
Value Value::of_text(std::string_view s, ValueKind kind) {
  Value v;
  v.kind = kind;
  v.size = static_cast<std::uint32_t>(s.size());
  v.text = s.data();
  return v;
}
Value Value::empty(ValueKind kind) {
  Value v;
  v.kind = kind;
  v.items = nullptr;
  return v;
}

Value& set_field(Arena& arena, Value& structure, int index) {
  if (Value* present = structure.get(index)) return *present;
  reserve(arena, structure, 1);
  std::uint32_t at = structure.size;
  while (at > 0 && structure.items[at - 1].field > index) --at;
  std::memmove(static_cast<void*>(structure.items + at + 1), structure.items + at,
               (structure.size - at) * sizeof(Value));
  structure.items[at] = Value{};
  structure.items[at].field = static_cast<std::uint16_t>(index);
  ++structure.size;
  return structure.items[at];
}

namespace {
// Shrinking must not cross a power of two unseen: capacity is derived from the size, so a smaller size only ever
// promises less room than there is.
void remove_cells(Value& value, std::size_t at, std::size_t count, std::size_t cells) {
  std::memmove(static_cast<void*>(value.items + at), value.items + at + count, (cells - at - count) * sizeof(Value));
}
}  // namespace

void erase_field(Value& structure, int index) {
  Value* present = structure.get(index);
  if (!present) return;
  remove_cells(structure, static_cast<std::size_t>(present - structure.items), 1, structure.size);
  --structure.size;
}

Value& append(Arena& arena, Value& list, const Value& item) {
  const Value copy = item;  // `item` may lie in the memory that moves
  reserve(arena, list, 1);
  return list.items[list.size++] = copy;
}

void erase_item(Value& list, std::size_t index) {
  remove_cells(list, index, 1, list.size);
  --list.size;
}

void insert_item(Arena& arena, Value& list, std::size_t index, const Value& item) {
  const Value copy = item;
  reserve(arena, list, 1);
  std::memmove(static_cast<void*>(list.items + index + 1), list.items + index, (list.size - index) * sizeof(Value));
  list.items[index] = copy;
  ++list.size;
}

Value& set_key(Arena& arena, Value& map, std::string_view key) {
  const std::size_t at = place_of(map, key);
  if (at < map.size && map.items[2 * at].str() == key) return map.items[2 * at + 1];
  const Value key_value = Value::of_text(arena.copy(key));
  reserve(arena, map, 2);
  std::memmove(static_cast<void*>(map.items + 2 * at + 2), map.items + 2 * at, 2 * (map.size - at) * sizeof(Value));
  map.items[2 * at] = key_value;
  map.items[2 * at + 1] = Value{};
  ++map.size;
  return map.items[2 * at + 1];
}

void erase_key(Value& map, std::string_view key) {
  if (map.kind != ValueKind::map) return;
  const std::size_t at = place_of(map, key);
  if (at >= map.size || map.items[2 * at].str() != key) return;
  remove_cells(map, 2 * at, 2, 2ul * map.size);
  --map.size;
}

void append_pair(Arena& arena, Value& map, std::string_view key_in_arena, const Value& value) {
  const Value copy = value;
  reserve(arena, map, 2);
  map.items[2ul * map.size] = Value::of_text(key_in_arena);
  map.items[2ul * map.size + 1] = copy;
  ++map.size;
}

std::size_t sort_pairs(Value& map) {
  struct Pair {
    Value key, value;
  };
  auto* pairs = reinterpret_cast<Pair*>(map.items);
  auto less = [](const Pair& a, const Pair& b) { return a.key.str() < b.key.str(); };
  if (!std::is_sorted(pairs, pairs + map.size, less)) std::stable_sort(pairs, pairs + map.size, less);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < map.size; ++i) {
    if (kept > 0 && pairs[kept - 1].key.str() == pairs[i].key.str())
      pairs[kept - 1] = pairs[i];
    else
      pairs[kept++] = pairs[i];
  }
  const std::size_t dropped = map.size - kept;
  map.size = kept;
  return dropped;
}

Value deep_copy(Arena& arena, const Value& value) {
  Value copy = value;
  copy.growable = 0;
  if (has_text(value.kind)) {
    copy.text = arena.copy(value.str()).data();
  } else if (has_items(value.kind)) {
    const std::size_t cells = cells_of(value);
    copy.items = cells ? static_cast<Value*>(arena.allocate(cells * sizeof(Value))) : nullptr;
    for (std::size_t i = 0; i < cells; ++i) copy.items[i] = deep_copy(arena, value.items[i]);
  }
  return copy;
}

bool equal(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case ValueKind::null: return true;
    case ValueKind::boolean: return a.boolean == b.boolean;
    case ValueKind::integer:
    case ValueKind::time: return a.integer == b.integer;
    case ValueKind::floating: return a.floating == b.floating;
    case ValueKind::string:
    case ValueKind::bytes:
    case ValueKind::raw: return a.str() == b.str();
    case ValueKind::list:
    case ValueKind::structure:
    case ValueKind::map: break;
  }
  if (a.size != b.size) return false;
  const std::size_t cells = cells_of(a);
  for (std::size_t i = 0; i < cells; ++i) {
    if (a.kind == ValueKind::structure && a.items[i].field != b.items[i].field) return false;
    if (!equal(a.items[i], b.items[i])) return false;
  }
  return true;
}

namespace {
std::size_t cell_bytes(const Value& value) {
  if (!has_items(value.kind)) return 0;
  const std::size_t cells = cells_of(value);
  std::size_t bytes = cells * sizeof(Value);
  for (std::size_t i = 0; i < cells; ++i) bytes += cell_bytes(value.items[i]);
  return bytes;
}
std::size_t text_bytes(const Value& value) {
  if (has_text(value.kind)) return value.size;
  if (!has_items(value.kind)) return 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < cells_of(value); ++i) bytes += text_bytes(value.items[i]);
  return bytes;
}
Value copy_into(const Value& value, char*& cells_at, char*& text_at) {
  Value copy = value;
  copy.growable = 0;
  if (has_text(value.kind)) {
    if (value.size) std::memcpy(text_at, value.text, value.size);
    copy.text = value.size ? text_at : "";
    text_at += value.size;
  } else if (has_items(value.kind)) {
    const std::size_t cells = cells_of(value);
    auto* items = reinterpret_cast<Value*>(cells_at);
    cells_at += cells * sizeof(Value);
    for (std::size_t i = 0; i < cells; ++i) items[i] = copy_into(value.items[i], cells_at, text_at);
    copy.items = cells ? items : nullptr;
  }
  return copy;
}
}  // namespace

// Cells come first (they want alignment), then all text without padding.
std::size_t compact_size(const Value& value) { return cell_bytes(value) + text_bytes(value); }

Value compact_copy(const Value& value, char*& memory) {
  char* cells_at = memory;
  char* text_at = memory + cell_bytes(value);
  const Value copy = copy_into(value, cells_at, text_at);
  memory = text_at;
  return copy;
}

}  // namespace rusternetes::apimachinery
