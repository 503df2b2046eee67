#include "api-server/strategy/defaulting.h"

#include <cstring>

#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;

Value copy_level(Arena& arena, const Value& value) {
  Value copy = value;
  copy.growable = 0;
  const std::size_t cells = std::size_t{value.size} * (value.kind == ValueKind::map ? 2 : 1);
  const bool has_children =
      value.kind == ValueKind::list || value.kind == ValueKind::map || value.kind == ValueKind::structure;
  if (!has_children || cells == 0) return copy;
  copy.items = static_cast<Value*>(arena.allocate(cells * sizeof(Value)));
  std::memcpy(static_cast<void*>(copy.items), value.items, cells * sizeof(Value));
  for (std::size_t i = 0; i < cells; ++i) copy.items[i].growable = 0;
  return copy;
}

void round_resource_list(Arena& arena, Value& parent, int field) {
  Value* list = parent.get(field);
  if (!list || list->kind != ValueKind::map) return;
  for (std::uint32_t i = 0; i < list->size; ++i) {
    Value& amount = list->items[2 * i + 1];
    // A canonical amount is finer than a thousandth only if it has one of these.
    if (amount.str().find_first_of("nueE.") == std::string_view::npos) continue;
    auto quantity = Quantity::parse(amount.str());
    if (quantity && !quantity->round_up(-3)) assign(amount, Value::of_text(arena.copy(quantity->to_string())));
  }
}

void fill_resource_list(Arena& arena, Value& parent, int to_field, const Value* from) {
  if (!from || from->kind != ValueKind::map || from->size == 0) return;
  Value& to = ensure(arena, parent, to_field, ValueKind::map);
  for (std::uint32_t i = 0; i < from->size; ++i) {
    Value& place = set_key(arena, to, from->items[2 * i].str());
    if (place.is_null()) assign(place, from->items[2 * i + 1]);
  }
}

}  // namespace rusternetes::api_server
