#pragma once
// What changed between two objects of a type, as sets of fields (structured-merge-diff's Compare). The schema
// says which lists and maps are looked into and which count as one field.

#include "apimachinery/field_set.h"
#include "apimachinery/schema.h"
#include "apimachinery/value.h"

namespace rusternetes::apimachinery {

struct FieldComparison {
  FieldSet added, modified, removed;
};

// `before` may be null: the zero value of the type. The sets share text with both objects. An error when a
// list's item has none of its keys.
Result<FieldComparison> compare_fields(Arena& arena, const Type& type, const Value* before,
                                       const Value& after);

// How managed fields see the list or map that a field holds. `rules` are the field's, null for an element.
enum class Granularity : std::uint8_t { leaf, structure, map, list_set, list_map, deduced };
Granularity granularity(const Type& type, const FieldRules* rules);
// The keys that tell the items of a list_map apart.
std::span<const std::string_view> list_keys(const FieldRules& rules);

// A set that was written when the schema was another: what now is one field is owned as one. Returns the set
// itself when there is nothing to do.
FieldSet reconcile_with_schema(Arena& arena, const FieldSet& set, const Type& type);

}  // namespace rusternetes::apimachinery
