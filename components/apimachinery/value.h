#pragma once
// The nodes that objects are made of. A Value is 16 bytes; a structure's children carry the index of their field instead
// of a key string, in the order of the schema; maps are sorted by key. Values live in an Arena while a request changes
// them, and in a Document once they are final. Absent and zero are told apart by the schema: a field that is no pointer
// is not stored while it is zero.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "apimachinery/schema.h"

namespace rusternetes::apimachinery {

// Memory for one request's values, given back all at once. Not thread-safe.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;
  // Aligned to 8.
  void* allocate(std::size_t bytes);
  std::string_view copy(std::string_view text);
  std::size_t used() const { return used_; }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  std::size_t left_ = 0, used_ = 0;
};

enum class ValueKind : std::uint8_t {
  null,
  boolean,
  integer,
  floating,
  string,
  bytes,      // decoded
  raw,        // compact JSON text
  time,       // microseconds since 1970 in `integer`
  list,
  structure,
  map,        // items alternate key (string) and value; also a schemaless JSON object
};

struct Value {
  ValueKind kind = ValueKind::null;
  std::uint8_t growable = 0;  // children have room up to the next power of two
  std::uint16_t field = 0;    // within a structure: index into the owner's Type::fields
  std::uint32_t size = 0;     // bytes of text; children of a list or structure; pairs of a map
  union {
    std::int64_t integer = 0;
    double floating;
    bool boolean;
    const char* text;
    Value* items;
  };

  bool is_null() const { return kind == ValueKind::null; }
  std::string_view str() const {
    return kind == ValueKind::string || kind == ValueKind::bytes || kind == ValueKind::raw
               ? std::string_view(text, size)
               : std::string_view{};
  }
  std::span<const Value> children() const {
    if (kind == ValueKind::list || kind == ValueKind::structure) return {items, size};
    return {};
  }
  std::span<Value> children() {
    if (kind == ValueKind::list || kind == ValueKind::structure) return {items, size};
    return {};
  }

  // A structure's field; null pointer when absent.
  const Value* get(int index) const;
  Value* get(int index) { return const_cast<Value*>(static_cast<const Value*>(this)->get(index)); }
  // A map's value; null pointer when absent.
  const Value* lookup(std::string_view key) const;
  Value* lookup(std::string_view key) { return const_cast<Value*>(static_cast<const Value*>(this)->lookup(key)); }

  static Value of(bool b);
  static Value of_integer(std::int64_t i);
  static Value of_double(double d);
  static Value of_time(std::int64_t microseconds);
  // The text must outlive the value (a literal, or in the same arena).
  static Value of_text(std::string_view s, ValueKind kind = ValueKind::string);
  static Value empty(ValueKind kind);
};
static_assert(sizeof(Value) == 16);

// Changes, in an arena. References to children end with the next change of the same parent.
// Gives the structure's field, made null when it was absent.
Value& set_field(Arena& arena, Value& structure, int index);
void erase_field(Value& structure, int index);
Value& append(Arena& arena, Value& list, const Value& item);
void erase_item(Value& list, std::size_t index);
void insert_item(Arena& arena, Value& list, std::size_t index, const Value& item);
// Gives the map's value for the key (copied into the arena), made null when it was absent.
Value& set_key(Arena& arena, Value& map, std::string_view key);
void erase_key(Value& map, std::string_view key);
// For decoders: pairs are appended in any order, then sorted; of equal keys the last stays, and their number is returned.
void append_pair(Arena& arena, Value& map, std::string_view key_in_arena, const Value& value);
std::size_t sort_pairs(Value& map);

// A copy with all its text, in the arena.
Value deep_copy(Arena& arena, const Value& value);
// Same kind, content and fields.
bool equal(const Value& a, const Value& b);
// The bytes that a compact copy of the value takes, itself not counted.
std::size_t compact_size(const Value& value);
// Copies what is below `value` into `memory` (compact_size() bytes, aligned to 8), and gives the new root.
Value compact_copy(const Value& value, char*& memory);

}  // namespace rusternetes::apimachinery
