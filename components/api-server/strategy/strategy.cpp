// What every kind does unless its own strategy says otherwise, driven by the schema: where spec and status are.

#include "api-server/strategy.h"

#include "api-server/storage_codec.h"
#include "api-server/strategy/checks.h"
#include "api-server/strategy/plain_defaults.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

bool has_status_subresource(const Kind& kind) { return kind.find_subresource("status") != nullptr; }

}  // namespace

void Strategy::clear_status(const StrategyContext& context, Value& object) {
  if (!has_status_subresource(context.kind)) return;
  if (const int status = context.kind.type->find("status"); status >= 0) erase_field(object, status);
}

void Strategy::keep_status(const StrategyContext& context, Value& object, const Value& old) {
  if (!has_status_subresource(context.kind)) return;
  if (const int status = context.kind.type->find("status"); status >= 0)
    take_field(context.arena, object, old, status);
}

void Strategy::set_generation(const StrategyContext& context, Value& object, std::int64_t generation) {
  set_integer(context.arena, ensure(context.arena, object, metadata_field(*context.kind.type)),
              ObjectMeta::f_generation, generation);
}

void Strategy::raise_generation(const StrategyContext& context, Value& object, const Value& old) {
  const Type& type = *context.kind.type;
  const int status = type.find("status"), meta = metadata_field(type);
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const int field = static_cast<int>(i);
    if (field == meta || field == status || (type.has_type_meta && i < 2)) continue;
    if (is_same_loosely(object.get(field), old.get(field))) continue;
    return set_generation(context, object, ObjectMeta(old.get(meta)).generation() + 1);
  }
}

void Strategy::keep_all_but_status(const StrategyContext& context, Value& object, const Value& old) {
  const Type& type = *context.kind.type;
  const int status = type.find("status"), meta = metadata_field(type);
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const int field = static_cast<int>(i);
    if (field == status || field == meta || (type.has_type_meta && i < 2)) continue;
    take_field(context.arena, object, old, field);
  }
}

void Strategy::keep_metadata(const StrategyContext& context, Value& object, const Value& old) {
  const int meta = metadata_field(*context.kind.type);
  Value& metadata = ensure(context.arena, object, meta);
  const Value* old_metadata = old.get(meta);
  if (!old_metadata) return;
  for (const int field : {ObjectMeta::f_deletionTimestamp, ObjectMeta::f_deletionGracePeriodSeconds,
                          ObjectMeta::f_generation, ObjectMeta::f_selfLink, ObjectMeta::f_labels,
                          ObjectMeta::f_annotations, ObjectMeta::f_finalizers, ObjectMeta::f_ownerReferences})
    take_field(context.arena, metadata, *old_metadata, field);
}

void Strategy::set_defaults(const Kind& kind, Arena& arena, Value& object) const {
  set_plain_defaults(*kind.type, arena, object);
}

void Strategy::prepare_for_create(const StrategyContext& context, Value& object) const {
  clear_status(context, object);
  if (has_generation()) set_generation(context, object, 1);
}

void Strategy::prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const {
  keep_status(context, object, old);
  if (has_generation()) raise_generation(context, object, old);
}

void Strategy::prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const {
  keep_all_but_status(context, object, old);
}

FieldSet Strategy::reset_fields(Arena& arena, const Kind& kind, std::string_view subresource) const {
  if (!has_status_subresource(kind)) return {};
  if (subresource == "status") return field_set_of(arena, {{"spec"}});
  return field_set_of(arena, {{"status"}});
}

Result<void> Strategy::claim(const StrategyContext&, Companions&, Value*, const Value*) const { return {}; }

std::string Strategy::generated_name(std::string_view base) const { return generate_name(base); }

std::vector<std::string> Strategy::name_problems(std::string_view name, bool is_prefix) const {
  return is_dns1123_subdomain(is_prefix ? mask_trailing_dash(name) : std::string(name));
}

void Strategy::validate(const StrategyContext&, const Value&, FieldErrorList&) const {}
void Strategy::validate_update(const StrategyContext& context, const Value& object, const Value&,
                               FieldErrorList& errors) const {
  validate(context, object, errors);
}
void Strategy::validate_status_update(const StrategyContext&, const Value&, const Value&, FieldErrorList&) const {}

std::int64_t Strategy::grace_period(const Value&, std::optional<std::int64_t>) const { return 0; }
std::string Strategy::selectable_field(const Value&, std::string_view) const { return {}; }

}  // namespace rusternetes::api_server
