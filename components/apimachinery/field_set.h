#pragma once
// Sets of fields of an object, as metadata.managedFields names them (structured-merge-diff's fieldpath.Set).
// A set is a tree of path elements; it lives in an arena and never changes, so that results share subtrees
// with their inputs.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// One step of a path: the name of a field or map key, the key fields of a list item, the value of a set's
// item, or an index. Text, keys and values lie in memory that lives as long as the set.
struct PathElement {
  enum class Kind : std::uint8_t { field, key, value, index };
  struct KeyField {
    std::string_view name;
    Value value;  // a scalar
  };

  Kind kind = Kind::field;
  std::uint32_t size = 0;  // of `text` or `keys`
  union {
    const char* text = nullptr;
    const KeyField* keys;  // sorted by name
    const Value* value;
    std::int64_t index;
  };

  static PathElement of_field(std::string_view name);
  static PathElement of_keys(std::span<const KeyField> sorted);
  static PathElement of_value(const Value* value);
  static PathElement of_index(std::int64_t index);
  std::string_view name() const { return {text, size}; }
  std::span<const KeyField> key_fields() const { return {keys, size}; }
};
// Negative, zero or positive: fields before keys before values before indexes.
int compare(const PathElement& a, const PathElement& b);
// A total order of schemaless values; integers and doubles compare as numbers.
int compare_values(const Value& a, const Value& b);

struct FieldSet {
  struct Entry;
  const Entry* entries = nullptr;  // sorted by element
  std::uint32_t size = 0;

  bool empty() const { return size == 0; }
  std::span<const Entry> all() const;
  const Entry* find(const PathElement& element) const;
  bool has(std::span<const PathElement> path) const;
  // Members in the whole tree.
  std::size_t count() const;
};

struct FieldSet::Entry {
  PathElement element;
  FieldSet children;
  bool is_member = false;  // or only the way to its children
};
inline std::span<const FieldSet::Entry> FieldSet::all() const { return {entries, size}; }

// A copy of `entries` in the arena, sorted; of equal elements the members are united and the last children
// stay.
FieldSet make_field_set(Arena& arena, std::span<FieldSet::Entry> entries);
// Of paths that consist of field names: {{"status"}, {"metadata", "labels"}}. The names must outlive the set.
FieldSet field_set_of(Arena& arena, std::initializer_list<std::initializer_list<std::string_view>> paths);

// The set operations of fieldpath.Set. A parent and its child are different members: neither stands for the
// other.
FieldSet unite(Arena& arena, const FieldSet& a, const FieldSet& b);
FieldSet intersect(Arena& arena, const FieldSet& a, const FieldSet& b);
FieldSet subtract(Arena& arena, const FieldSet& a, const FieldSet& b);
// Takes away the members of `b` with all that is below them.
FieldSet subtract_recursive(Arena& arena, const FieldSet& a, const FieldSet& b);
// The members that have nothing below them.
FieldSet leaves(Arena& arena, const FieldSet& set);
bool equal(const FieldSet& a, const FieldSet& b);

// FieldsV1: {"f:metadata":{"f:labels":{".":{},"f:app":{}}}}. Appends.
void append_fields_v1(std::string& out, const FieldSet& set);
// The set shares the text, which must outlive it. Elements of an unknown type are dropped, damage is an
// error.
Result<FieldSet> parse_fields_v1(Arena& arena, std::string_view json);
// One element as FieldsV1 writes it ("k:{\"name\":\"a\"}"), not yet quoted.
void append_path_element(std::string& out, const PathElement& element);

}  // namespace rusternetes::apimachinery
