#include "apimachinery/field_presence.h"

#include "apimachinery/field_set.h"

namespace rusternetes::apimachinery {
namespace {

bool is_zero_null(const Type& type) {
  switch (type.kind) {
    case TypeKind::list:
    case TypeKind::map:
    case TypeKind::bytes:
    case TypeKind::time:
    case TypeKind::micro_time:
    case TypeKind::raw:
    case TypeKind::fields_v1:
    case TypeKind::any:
    case TypeKind::choice:
      return true;
    default:
      return false;
  }
}

bool is_zero(const Value& value, const Type& type) {
  switch (value.kind) {
    case ValueKind::boolean:
      return !value.boolean;
    case ValueKind::integer:
      return value.integer == 0;
    case ValueKind::floating:
      return value.floating == 0;
    case ValueKind::string:
      if (type.kind == TypeKind::quantity) return value.str() == "0";
      return value.size == 0 && type.kind != TypeKind::int_or_string;
    case ValueKind::structure:
      return value.size == 0;
    default:
      return false;
  }
}

bool same_structure(const Value& a, const Value& b, const Type& type) {
  for (std::size_t f = 0; f < type.fields.size(); ++f) {
    const Value *x = a.get(static_cast<int>(f)), *y = b.get(static_cast<int>(f));
    if (!x && !y) continue;
    const Field& field = type.fields[f];
    const Side left = side_of(field, x), right = side_of(field, y);
    if (left.is_present != right.is_present || !same_leaf(left, right, *field.type)) return false;
  }
  const auto more = static_cast<int>(type.fields.size());
  const Value *x = a.get(more), *y = b.get(more);
  return (!x && !y) || (x && y && equal(*x, *y));
}

}  // namespace

bool is_left_out_when_zero(const Field& field) {
  if (field.is_omitzero) return true;
  if (!field.is_omitempty) return false;
  if (field.is_pointer) return true;
  switch (field.type->kind) {
    case TypeKind::structure:
    case TypeKind::time:
    case TypeKind::micro_time:
    case TypeKind::quantity:
    case TypeKind::int_or_string:
    case TypeKind::duration:
    case TypeKind::raw:
    case TypeKind::choice:
      return false;
    default:
      return true;
  }
}

Side side_of(const Field& field, const Value* stored) {
  if (stored) return {stored, true, stored->is_null()};
  if (is_left_out_when_zero(field)) return {};
  return {nullptr, true, field.is_pointer || is_zero_null(*field.type)};
}
Side side_of(const Value* value) { return {value, value != nullptr, value && value->is_null()}; }

bool same_leaf(const Side& a, const Side& b, const Type& type) {
  if (a.is_null || b.is_null) return a.is_null && b.is_null;
  if (!a.value || !b.value) return a.value == b.value || is_zero(a.value ? *a.value : *b.value, type);
  const Value &x = *a.value, &y = *b.value;
  if (equal(x, y)) return true;
  if (x.kind != y.kind) return type.kind == TypeKind::any && compare_values(x, y) == 0;
  switch (x.kind) {
    case ValueKind::structure:
      return type.kind == TypeKind::structure && same_structure(x, y, type);
    case ValueKind::list:
    case ValueKind::map: {
      if (x.size != y.size || !type.element) return false;
      const bool is_map = x.kind == ValueKind::map;
      for (std::uint32_t i = 0; i < x.size; ++i) {
        if (is_map && x.items[2 * i].str() != y.items[2 * i].str()) return false;
        const std::uint32_t at = is_map ? 2 * i + 1 : i;
        if (!same_leaf(side_of(&x.items[at]), side_of(&y.items[at]), *type.element)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

}  // namespace rusternetes::apimachinery
