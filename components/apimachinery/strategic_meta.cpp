#include "apimachinery/strategic_meta.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/quote.h"
#include "apimachinery/strategic_list.h"

namespace rusternetes::apimachinery::strategic {
namespace {

bool same_but_for_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

// The rules of a member. Go's JSON finds fields without regard to case, so this does.
Result<FieldMeta> field_meta(Meta owner, std::string_view name) {
  const std::string_view word = Meta{owner.type, false}.kind_word();
  if (word != "struct")
    return plain_error(
        fmt::format("merging an object in json but data type is not struct, instead is: {}", word));
  int index = owner.type->kind == TypeKind::structure ? owner.type->find(name) : -1;
  if (index < 0)
    for (std::size_t i = 0; i < owner.type->fields.size() && index < 0; ++i)
      if (same_but_for_case(owner.type->fields[i].name, name)) index = static_cast<int>(i);
  if (index < 0)
    return plain_error(fmt::format("unable to find api field in struct {} for the json field {}",
                                   owner.struct_name(), quote(name)));
  const Field& field = owner.type->fields[static_cast<std::size_t>(index)];
  FieldMeta meta{{field.type, field.is_pointer}, {}, field.rules->merge_key};
  if (field.rules->patch_merge) meta.strategy = "merge";
  if (field.rules->patch_replace) meta.strategy = "replace";
  return meta;
}

Result<FieldMeta> list_meta(Meta owner, std::string_view name) {
  RN_TRY(FieldMeta found, field_meta(owner, name));
  if (found.meta.type->kind == TypeKind::list) {
    found.meta = {found.meta.type->element, false};
    if (found.meta.type->kind == TypeKind::list) return plain_error("unexpected slice of slice");
  } else if (found.meta.is_pointer) {
    found.meta.is_pointer = false;
  } else {
    return plain_error(fmt::format("expected slice or array type, but got: {}", owner.kind_word()));
  }
  return found;
}

}  // namespace rusternetes::apimachinery::strategic
