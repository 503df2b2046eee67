#pragma once
// What OpenAPI documents say of a few fields beyond their schema: the enum of a list's items, unions,
// granular maps, defaults that Go marks and JSON leaves out. Documentation only; nothing is checked by it.

#include <span>
#include <string_view>
#include <utility>

namespace rusternetes::api_server::openapi {

struct FieldExtra {
  std::string_view type, field;
  std::span<const std::string_view> element_enum;  // of a list's items or a map's values
  bool is_granular = false;                        // x-kubernetes-map-type: granular
  std::string_view default_value;                  // JSON, of version 3
};

// A structure of which one member is set, told by its discriminator: field name and Go's name for it.
struct Union {
  std::string_view type, discriminator;
  std::span<const std::pair<std::string_view, std::string_view>> members;
};

// Null when there is nothing to add.
const FieldExtra* field_extra(std::string_view type, std::string_view field);
const Union* union_of(std::string_view type);

}  // namespace rusternetes::api_server::openapi
