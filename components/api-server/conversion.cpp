#include "api-server/conversion.h"

#include <algorithm>

#include "api-server/strategy/autoscaling_conversion.h"
#include "api-server/strategy/definition_conversion.h"
#include "api-server/strategy/event_conversion.h"

namespace rusternetes::api_server {

using apimachinery::Arena;
using apimachinery::Type;
using apimachinery::TypeKind;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

// The registered function of this direction, or null. Few kinds have one: a walk is cheaper than a hash.
const Conversion* find_conversion(const Type& from, const Type& to) {
  for (const auto conversions : {autoscaling_conversions(), definition_conversions()}) {
    const auto found = std::ranges::find_if(conversions, [&](const Conversion& c) { return c.from == &from && c.to == &to; });
    if (found != conversions.end()) return &*found;
  }
  return nullptr;
}

// Structures map field by field by name; everything else is of the same shape.
Value by_name(Arena& arena, const Value& value, const Type& from, const Type& to) {
  if (&from == &to) {
    Value copy = value;
    copy.growable = 0;
    return copy;
  }
  if (value.kind == ValueKind::structure && from.kind == TypeKind::structure && to.kind == TypeKind::structure) {
    Value out = Value::empty(ValueKind::structure);
    for (const auto& child : value.children()) {
      const int index = to.find(converted_field_name(from, to, from.fields[child.field].name));
      if (index < 0) continue;
      Value converted = by_name(arena, child, *from.fields[child.field].type, *to.fields[static_cast<std::size_t>(index)].type);
      converted.field = static_cast<std::uint16_t>(index);
      apimachinery::set_field(arena, out, index) = converted;
    }
    if (const Conversion* conversion = find_conversion(from, to)) conversion->complete(arena, value, out);
    return out;
  }
  if (value.kind == ValueKind::list && from.element && to.element) {
    Value out = Value::empty(ValueKind::list);
    for (const auto& item : value.children())
      apimachinery::append(arena, out, by_name(arena, item, *from.element, *to.element));
    return out;
  }
  Value copy = value;
  copy.growable = 0;
  return copy;
}

}  // namespace

Value convert_value(Arena& arena, const Value& value, const Type& from, const Type& to) {
  return by_name(arena, value, from, to);
}

}  // namespace rusternetes::api_server
