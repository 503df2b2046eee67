#pragma once
// Writing values by field index (the f_ constants of api/*.h). Each returns the child, so that edits chain; references end
// with the next change of the same parent.

#include "apimachinery/value.h"

namespace rusternetes::apimachinery {

// Sets what a place holds, keeping which field it is.
inline Value& assign(Value& place, Value value) {
  value.field = place.field;
  return place = value;
}

// The child structure, list or map; made empty when absent (or of another kind).
inline Value& ensure(Arena& arena, Value& parent, int field, ValueKind kind = ValueKind::structure) {
  Value& place = set_field(arena, parent, field);
  if (place.kind != kind) assign(place, Value::empty(kind));
  return place;
}

inline Value& set_string(Arena& arena, Value& parent, int field, std::string_view text) {
  return assign(set_field(arena, parent, field), Value::of_text(arena.copy(text)));
}
inline Value& set_integer(Arena& arena, Value& parent, int field, std::int64_t number) {
  return assign(set_field(arena, parent, field), Value::of_integer(number));
}
inline Value& set_boolean(Arena& arena, Value& parent, int field, bool value) {
  return assign(set_field(arena, parent, field), Value::of(value));
}
inline Value& set_time(Arena& arena, Value& parent, int field, std::int64_t microseconds) {
  return assign(set_field(arena, parent, field), Value::of_time(microseconds));
}
inline Value& set_map_string(Arena& arena, Value& map, std::string_view key, std::string_view text) {
  return assign(set_key(arena, map, key), Value::of_text(arena.copy(text)));
}
// A new structure at a list's end.
inline Value& append_structure(Arena& arena, Value& list) {
  return append(arena, list, Value::empty(ValueKind::structure));
}
inline Value& append_string(Arena& arena, Value& list, std::string_view text) {
  return append(arena, list, Value::of_text(arena.copy(text)));
}

// Makes the field of `to` what it is in `from` (absent there: erased). Shares memory; both must be in live arenas or
// documents.
inline void take_field(Arena& arena, Value& to, const Value& from, int field) {
  const Value* source = from.get(field);
  if (!source) {
    erase_field(to, field);
    return;
  }
  Value copy = *source;
  copy.growable = 0;  // two owners must not grow into the same memory
  set_field(arena, to, field) = copy;
}

// Descends by field indexes; null when one is absent.
template <class... Fields>
const Value* descend(const Value* value, Fields... fields) {
  ((value = value ? value->get(fields) : nullptr), ...);
  return value;
}

}  // namespace rusternetes::apimachinery
