#include "client/ensure.h"

#include "apimachinery/api/meta_v1.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;

namespace {

constexpr int metadata_at = 2;  // of every top-level type; kind and apiVersion come before

meta_v1::ObjectMeta metadata_of(const Document& object) { return meta_v1::ObjectMeta(object.root().get(metadata_at)); }

// A structure says what another one says when each field that the other has says so; anything else must be equal.
bool says(const Value& present, const Value& wanted, const Type* type, int from = 0) {
  if (wanted.kind != ValueKind::structure || !type) return equal(present, wanted);
  for (int field = from; field < static_cast<int>(type->fields.size()); ++field) {
    const Value* one = wanted.get(field);
    if (!one) continue;
    const Value* other = present.get(field);
    if (!other || !says(*other, *one, type->fields[static_cast<std::size_t>(field)].type)) return false;
  }
  return true;
}

bool says(const Document& present, const Document& wanted) {
  const auto labels = metadata_of(present).labels();
  for (const auto [key, value] : metadata_of(wanted).labels())
    if (labels.get(key) != value) return false;
  return says(present.root(), wanted.root(), &wanted.type(), metadata_at + 1);
}

void write_over(Arena& arena, Value& into, const Value& wanted, const Type& type, int from) {
  for (int field = from; field < static_cast<int>(type.fields.size()); ++field) {
    const Value* one = wanted.get(field);
    if (!one) continue;
    Value& target = ensure(arena, into, field, one->kind);
    const Type* inner = type.fields[static_cast<std::size_t>(field)].type;
    if (one->kind == ValueKind::structure && inner)
      write_over(arena, target, *one, *inner, 0);
    else
      target = deep_copy(arena, *one);
  }
}

Document with(const Document& present, const Document& wanted) {
  ObjectBuilder builder(present);
  Arena& arena = builder.arena();
  write_over(arena, builder.root(), wanted.root(), wanted.type(), metadata_at + 1);
  Value& metadata = ensure(arena, builder.root(), metadata_at);
  for (const auto [key, value] : metadata_of(wanted).labels())
    set_map_string(arena, ensure(arena, metadata, meta_v1::ObjectMeta::f_labels, ValueKind::map), key, value);
  return builder.freeze();
}

}  // namespace

Task<Result<void>> ensure_object(ApiClient& client, Resource resource, Document wanted, bool may_replace) {
  const std::string name(metadata_of(wanted).name()), name_space(metadata_of(wanted).namespace_());
  auto present = co_await client.get(resource, name_space, name);
  if (!present && !present.error().is("NotFound")) co_return present.error();
  if (present && says(*present, wanted)) co_return Result<void>{};
  if (present) {
    auto updated = co_await client.update(resource, name_space, name, "", with(*present, wanted), {});
    if (updated) co_return Result<void>{};
    if (!may_replace || !updated.error().is("Invalid")) co_return updated.error();
    auto removed = co_await client.remove(resource, name_space, name, {});
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
  }
  auto created = co_await client.create(resource, name_space, "", "", std::move(wanted), {});
  if (!created) co_return created.error();
  co_return Result<void>{};
}

}  // namespace rusternetes::client
