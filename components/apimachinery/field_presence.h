#pragma once
// What an object holds as Go's JSON would print it: a field may be absent, null, or present, and a zero value
// is present or not as the field's omitempty says. Part of field_compare.cpp.

#include "apimachinery/schema.h"
#include "apimachinery/value.h"

namespace rusternetes::apimachinery {

// One side of a comparison. Present without a value: the zero value, which for `is_null` prints as null.
struct Side {
  const Value* value = nullptr;
  bool is_present = false;
  bool is_null = false;
};

// Which zero values Go leaves out: omitempty never applies to a structure.
bool is_left_out_when_zero(const Field& field);
Side side_of(const Field& field, const Value* stored);
// Of a list's item or a map's value; null is absent.
Side side_of(const Value* value);
// Both are present. What is stored may differ where the objects do not: a zero that was written out equals
// one that was not.
bool same_leaf(const Side& a, const Side& b, const Type& type);

}  // namespace rusternetes::apimachinery
