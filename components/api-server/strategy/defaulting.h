#pragma once
// Small words that defaults are written in. "Absent" is what the API calls unset: a field that is no pointer is absent
// while it is zero. Texts are literals (or live as long as the arena): nothing is copied.

#include "apimachinery/edit.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server {

// Each sets the field if it is absent.
inline void default_text(apimachinery::Arena& arena, apimachinery::Value& parent, int field, std::string_view text) {
  apimachinery::Value& place = apimachinery::set_field(arena, parent, field);
  if (place.is_null()) apimachinery::assign(place, apimachinery::Value::of_text(text));
}
inline void default_integer(apimachinery::Arena& arena, apimachinery::Value& parent, int field, std::int64_t number) {
  apimachinery::Value& place = apimachinery::set_field(arena, parent, field);
  if (place.is_null()) apimachinery::assign(place, apimachinery::Value::of_integer(number));
}
inline void default_boolean(apimachinery::Arena& arena, apimachinery::Value& parent, int field, bool value) {
  apimachinery::Value& place = apimachinery::set_field(arena, parent, field);
  if (place.is_null()) apimachinery::assign(place, apimachinery::Value::of(value));
}

// Calls `f` with each item of the list that the field holds, for changing it.
template <class F>
void each_item(apimachinery::Value& parent, int field, F&& f) {
  apimachinery::Value* list = parent.get(field);
  if (list && list->kind == apimachinery::ValueKind::list)
    for (apimachinery::Value& item : list->children()) f(item);
}

// A copy whose own children may be changed without changing the original; what is below them is still shared.
apimachinery::Value copy_level(apimachinery::Arena& arena, const apimachinery::Value& value);

// Quantities of a ResourceList are rounded up to thousandths.
void round_resource_list(apimachinery::Arena& arena, apimachinery::Value& parent, int field);
// Keys of `from` (may be null) that the ResourceList `to_field` of `parent` has not are copied there.
void fill_resource_list(apimachinery::Arena& arena, apimachinery::Value& parent, int to_field,
                        const apimachinery::Value* from);

}  // namespace rusternetes::api_server
