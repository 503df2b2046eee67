// What every kind does unless its own strategy says otherwise, driven by the schema: where spec and status are.

#include "api-server/strategy.h"

#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

bool has_status_subresource(const Kind& kind) { return kind.find_subresource("status") != nullptr; }

}  // namespace

void Strategy::set_defaults(const Kind&, Arena&, Value&) const {}

void Strategy::prepare_for_create(const StrategyContext& context, Value& object) const {
  const Type& type = *context.kind.type;
  if (has_status_subresource(context.kind))
    if (const int status = type.find("status"); status >= 0) erase_field(object, status);
  if (has_generation())
    set_integer(context.arena, ensure(context.arena, object, metadata_field(type)), ObjectMeta::f_generation, 1);
}

void Strategy::prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const {
  const Type& type = *context.kind.type;
  const int status = type.find("status"), meta = metadata_field(type);
  if (has_status_subresource(context.kind) && status >= 0) take_field(context.arena, object, old, status);
  if (!has_generation()) return;
  // Anything but metadata and status is the wanted state.
  bool is_changed = false;
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    if (static_cast<int>(i) == meta || static_cast<int>(i) == status || (type.has_type_meta && i < 2)) continue;
    const Value *now = object.get(static_cast<int>(i)), *then = old.get(static_cast<int>(i));
    if (!now != !then || (now && !equal(*now, *then))) is_changed = true;
  }
  if (is_changed) {
    const std::int64_t generation = ObjectMeta(old.get(meta)).generation();
    set_integer(context.arena, ensure(context.arena, object, meta), ObjectMeta::f_generation, generation + 1);
  }
}

void Strategy::prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const {
  const Type& type = *context.kind.type;
  const int status = type.find("status"), meta = metadata_field(type);
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const int field = static_cast<int>(i);
    if (field == status || field == meta || (type.has_type_meta && i < 2)) continue;
    take_field(context.arena, object, old, field);
  }
  // Labels and the like are not status' business.
  Value& metadata = ensure(context.arena, object, meta);
  const Value* old_metadata = old.get(meta);
  if (!old_metadata) return;
  for (const int field : {ObjectMeta::f_labels, ObjectMeta::f_ownerReferences})
    take_field(context.arena, metadata, *old_metadata, field);
}

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
