#include "api-server/strategy/defaulting.h"

#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;

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
