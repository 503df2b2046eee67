#pragma once
// What strategic merge patches know of a member: its type and how it is merged. Part of strategic_patch.cpp.

#include <string_view>

#include "apimachinery/schema.h"
#include "base/status.h"

namespace rusternetes::apimachinery::strategic {

// A type as Go's reflection sees it, since error texts do.
struct Meta {
  const Type* type = nullptr;
  bool is_pointer = false;

  std::string_view kind_word() const {
    if (is_pointer) return "ptr";
    switch (type->kind) {
      case TypeKind::list:
      case TypeKind::bytes:
        return "slice";
      case TypeKind::map:
        return "map";
      case TypeKind::string:
        return "string";
      case TypeKind::boolean:
        return "bool";
      case TypeKind::int32:
        return "int32";
      case TypeKind::int64:
        return "int64";
      case TypeKind::float64:
        return "float64";
      case TypeKind::any:
        return "interface";
      default:
        return "struct";
    }
  }
  std::string_view struct_name() const {
    const std::string_view name = type->name;
    return name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  }
};

struct FieldMeta {
  Meta meta;
  std::string_view strategy, merge_key;
};

// The rules of a member; an error when the type has no such field, or no fields at all.
Result<FieldMeta> field_meta(Meta owner, std::string_view name);
// Those of a list's items.
Result<FieldMeta> list_meta(Meta owner, std::string_view name);

}  // namespace rusternetes::apimachinery::strategic
