#include "client/object_builder.h"

namespace rusternetes::client {

apimachinery::Document ObjectBuilder::from_json(const apimachinery::Type& type, std::string_view json) {
  apimachinery::Arena arena;
  apimachinery::DecodeIssues issues;
  auto value = apimachinery::decode_json(arena, json, type, &issues);
  RN_ASSERT(value && issues.messages.empty(), "a JSON text in the program does not fit its type");
  if (type.has_type_meta) {
    apimachinery::erase_field(*value, 0);
    apimachinery::erase_field(*value, 1);
  }
  return apimachinery::Document::freeze(*value, type);
}

}  // namespace rusternetes::client
