// create, update and patch: decode → default has happened; here come managed fields, admission, strategy, validation, store.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api-server/conversion.h"
#include "api-server/resources.h"
#include "api-server/storage_codec.h"
#include "api-server/strategy/object_meta.h"
#include "apimachinery/any_patch.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/managed_fields.h"
#include "apimachinery/names.h"
#include "apimachinery/quote.h"
#include "apimachinery/strategic_patch.h"
#include "apimachinery/uid.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

// Who writes: the request's fieldManager, else what the user agent calls itself.
void own_fields(Call& call, const Kind& kind, Value& object, const Value* before) {
  const Strategy& strategy = strategy_for(call.kind->group_version.group, call.kind->resource);
  const FieldSet reset_fields = strategy.reset_fields(call.arena, *call.kind, call.info.subresource);
  const std::string agent = manager_from_user_agent(call.user_agent);
  ManagedFieldsRequest request;
  request.manager = call.field_manager.empty() ? std::string_view(agent) : std::string_view(call.field_manager);
  request.subresource = call.info.subresource;
  request.now_us = call.now_us;
  request.reset_fields = &reset_fields;
  // Fields are owned under the names of the version that the client speaks.
  const Type &stored = *kind.type, &sent = *call.kind->type;
  const VersionConverter in_version = [&](Arena& arena, const Value& value, std::string_view api_version) -> VersionedObject {
    const Kind* other = call.registry->find_kind(api_version, call.kind->kind);
    if (!other || call.registry->storage_kind(*other) != &kind) return {};
    return {other->type, convert_value(arena, convert_value(arena, value, *call.kind->type, stored), stored, *other->type)};
  };
  request.convert = &in_version;
  if (&kind == call.kind) {
    update_managed_fields(call.arena, kind, object, before, request);
    return;
  }
  Value view = convert_value(call.arena, object, stored, sent);
  std::optional<Value> old_view;
  if (before) old_view = convert_value(call.arena, *before, stored, sent);
  update_managed_fields(call.arena, *call.kind, view, old_view ? &*old_view : nullptr, request);
  take_field(call.arena, ensure(call.arena, object, metadata_field(stored)), *view.get(metadata_field(sent)), ObjectMeta::f_managedFields);
}

namespace {

Status invalid_object(const Kind& kind, std::string_view name, const FieldErrorList& errors) {
  return errors.to_status(kind.group_version.group, kind.kind, name);
}

}  // namespace

Task<Result<Written>> Resources::create(Call& call, Value object) {
  const Kind& stored = *call.registry->storage_kind(*call.kind);
  const Strategy& strategy = strategy_for(call.kind->group_version.group, call.kind->resource);
  if (stored.type != call.kind->type) object = convert_value(call.arena, object, *call.kind->type, *stored.type);
  Value& metadata = ensure(call.arena, object, metadata_field(*stored.type));
  if (metadata.get(ObjectMeta::f_resourceVersion) && !call.dry_run)
    co_return internal_error("resourceVersion should not be set on objects to be created");
  const std::string_view name_space = ObjectMeta(&metadata).namespace_();
  erase_field(metadata, ObjectMeta::f_resourceVersion);
  if (!call.kind->is_namespaced) {
    erase_field(metadata, ObjectMeta::f_namespace_);
  } else if (name_space != call.info.name_space) {
    if (!name_space.empty())
      co_return bad_request("the namespace of the provided object does not match the namespace sent on the request");
    set_string(call.arena, metadata, ObjectMeta::f_namespace_, call.info.name_space);
  }
  own_fields(call, stored, object, nullptr);

  AdmissionRequest admission{call, "CREATE", stored, &object, nullptr, ObjectMeta(&metadata).name()};
  auto admitted = admission_.mutate(admission);
  if (!admitted) {  // without a service account, a namespace that were made a moment ago
    RN_CO_CHECK(co_await cacher_.wait_for_newest());
    admitted = admission_.mutate(admission);
  }
  if (!admitted) co_return admitted.error();

  // Each attempt claims anew, for the object as it was before.
  const std::optional<Value> unclaimed = strategy.has_claims() ? std::optional<Value>(object) : std::nullopt;
  const bool is_generated = ObjectMeta(object.get(metadata_field(*stored.type))).name().empty();
  for (int attempt = 0;; ++attempt) {
    if (unclaimed) {
      object = deep_copy(call.arena, *unclaimed);
      // What others hold is read from caches.
      RN_CO_CHECK(co_await refresh(call));
    }
    Value& meta = *object.get(metadata_field(*stored.type));
    if (is_generated && !ObjectMeta(&meta).generateName().empty())
      set_string(call.arena, meta, ObjectMeta::f_name, strategy.generated_name(ObjectMeta(&meta).generateName()));
    erase_field(meta, ObjectMeta::f_deletionTimestamp);
    erase_field(meta, ObjectMeta::f_deletionGracePeriodSeconds);
    erase_field(meta, ObjectMeta::f_selfLink);
    set_string(call.arena, meta, ObjectMeta::f_uid, new_uid());
    set_time(call.arena, meta, ObjectMeta::f_creationTimestamp, call.now_us - call.now_us % 1'000'000);
    const std::string name(ObjectMeta(&meta).name());
    StrategyContext context{stored, call.arena, call.now_us, call.info.name_space, name, &call.user, &call.warnings};
    context.allow_privileged = options_.allow_privileged;
    strategy.prepare_for_create(context, object);
    if (unclaimed) {
      auto claimed = claim(call, context, &object, nullptr);
      if (!claimed) co_return claimed.error();
    }
    FieldErrorList errors;
    validate_object_meta(context, strategy, object, errors);
    strategy.validate(context, object, errors);
    if (!errors.empty()) co_return invalid_object(*call.kind, name, errors);
    AdmissionRequest validation{call, "CREATE", stored, &object, nullptr, name};
    auto accepted = admission_.validate(validation);
    if (!accepted) {
      RN_CO_CHECK(co_await cacher_.wait_for_newest());
      accepted = admission_.validate(validation);
    }
    if (!accepted) co_return accepted.error();
    if (call.dry_run) {
      auto found = co_await fresh(call, name);
      if (!found) co_return found.error();
      if (*found) co_return already_exists({call.kind->group_version.group, call.kind->resource}, name);
    }
    auto written = co_await store_object(call, nullptr, object, name);
    const bool is_taken = !written && written.error().is("AlreadyExists") && is_generated && attempt < 7;
    const bool is_outrun = !written && written.error().is("Conflict") && attempt < most_attempts(strategy);  // somebody took what was claimed
    if (!is_taken && !is_outrun) co_return written;
  }
}

// `object` is what the request wants (of the storage version's type); becomes what is stored.
Result<void> Resources::prepare_update(Call& call, Value& object, const EntryPtr& before) {
  const Kind& stored = storage_kind(call);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  const Strategy& strategy = strategy_for(what.group, what.resource);
  const int at = metadata_field(*stored.type);
  const Value& old = before->document.root();
  const ObjectMeta old_meta(old.get(at));
  Value& metadata = ensure(call.arena, object, at);
  const std::string name(old_meta.name());

  if (const auto uid = ObjectMeta(&metadata).uid(); !uid.empty() && uid != old_meta.uid())
    return conflict(what, name, fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, old_meta.uid()));
  const std::string_view version = ObjectMeta(&metadata).resourceVersion();
  if (version.empty() || version == "0") {
    if (!strategy.allows_unconditional_update())
      return invalid(what.group, call.kind->kind, name,
                     {{"FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"}},
                     "metadata.resourceVersion: Invalid value: 0: must be specified for an update");
  } else if (version != old_meta.resourceVersion()) {
    if (version.find_first_not_of("0123456789") != std::string_view::npos)
      return Status(500, "", fmt::format("strconv.ParseUint: parsing {}: invalid syntax", quote(version)));
    return stale_update(what, name);
  }
  // The system's own fields stay as they are; what a client sends there is checked below only where it may differ.
  take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_resourceVersion);
  if (ObjectMeta(&metadata).uid().empty()) take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_uid);
  if (ObjectMeta(&metadata).name().empty()) take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_name);
  if (call.kind->is_namespaced && ObjectMeta(&metadata).namespace_().empty())
    take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_namespace_);
  if (!metadata.get(ObjectMeta::f_creationTimestamp))
    take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_creationTimestamp);
  take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_generation);
  if (!metadata.get(ObjectMeta::f_deletionTimestamp)) {
    take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_deletionTimestamp);
    take_field(call.arena, metadata, *old.get(at), ObjectMeta::f_deletionGracePeriodSeconds);
  }
  erase_field(metadata, ObjectMeta::f_selfLink);

  own_fields(call, stored, object, &old);
  AdmissionRequest admission{call, "UPDATE", stored, &object, &old, name};
  RN_CHECK(admission_.mutate(admission));
  keep_managed_fields_times(call.arena, stored, object, old);

  StrategyContext context{stored, call.arena, call.now_us, call.info.name_space, name, &call.user, &call.warnings};
  context.subresource = call.info.subresource;
  context.allow_privileged = options_.allow_privileged;
  FieldErrorList errors;
  if (call.is_status()) {
    strategy.prepare_for_status_update(context, object, old);
    validate_object_meta_update(context, object, old, errors);
    strategy.validate_status_update(context, object, old, errors);
  } else {
    strategy.prepare_for_update(context, object, old);
    if (strategy.has_claims()) RN_CHECK(claim(call, context, &object, &old));
    validate_object_meta_update(context, object, old, errors);
    strategy.validate_update(context, object, old, errors);
  }
  if (!errors.empty()) return invalid_object(*call.kind, name, errors);
  AdmissionRequest validation{call, "UPDATE", stored, &object, &old, name};
  return admission_.validate(validation);
}

Task<Result<Written>> Resources::update(Call& call, Value object) {
  const Kind& stored = *call.registry->storage_kind(*call.kind);
  const Strategy& strategy = strategy_for(call.kind->group_version.group, call.kind->resource);
  if (stored.type != call.kind->type) object = convert_value(call.arena, object, *call.kind->type, *stored.type);
  const ObjectMeta metadata(object.get(metadata_field(*stored.type)));
  if (metadata.name().empty()) co_return bad_request("name must be provided");
  if (metadata.name() != call.info.name)
    co_return bad_request(fmt::format("the name of the object ({}) does not match the name on the URL ({})", metadata.name(), call.info.name));
  if (!call.kind->is_namespaced) {
    if (Value* meta = object.get(metadata_field(*stored.type))) erase_field(*meta, ObjectMeta::f_namespace_);
  }
  if (!metadata.namespace_().empty() && metadata.namespace_() != call.info.name_space)
    co_return bad_request(fmt::format("the namespace of the object ({}) does not match the namespace on the URL ({})", metadata.namespace_(), call.info.name_space));

  auto found = co_await fresh(call, call.info.name);
  if (!found) co_return found.error();
  if (!*found && strategy.allows_create_on_update() && !call.is_status()) {
    if (!metadata.uid().empty())
      co_return conflict({call.kind->group_version.group, call.kind->resource}, call.info.name,
                         fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: ", metadata.uid()));
    RN_CO_CHECK(co_await call.authorize("create"));
    if (Value* meta = object.get(metadata_field(*stored.type))) erase_field(*meta, ObjectMeta::f_resourceVersion);
    if (stored.type != call.kind->type) object = convert_value(call.arena, object, *stored.type, *call.kind->type);
    co_return co_await create(call, object);
  }
  Change change = [this, &call, &object](const EntryPtr& before, Value& result) -> Result<void> {
    result = deep_copy(call.arena, object);
    return prepare_update(call, result, before);
  };
  auto written = co_await modify(call, call.info.name, change);
  co_return written;
}

Task<Result<Written>> Resources::patch(Call& call, PatchKind patch_kind, std::string body) {
  Change change = [this, &call, patch_kind, &body](const EntryPtr& before, Value& result) -> Result<void> {
    const Kind& stored = storage_kind(call);
    const Type& type = *call.kind->type;
    Arena& arena = call.arena;
    Value base = before->document.root();
    if (stored.type != &type) base = convert_value(arena, base, *stored.type, type);
    std::string text;
    const std::string api_version = call.kind->group_version.text();
    encode_json(text, &base, type, {api_version, call.kind->kind, true});
    RN_TRY(const Value any, decode_json_any(arena, text));
    Result<Value> patched = Status{};
    DecodeIssues issues;
    DecodeIssues* sink = call.field_validation == FieldValidation::ignore ? nullptr : &issues;
    if (patch_kind == PatchKind::json) {
      patched = apply_json_patch(arena, any, body, sink);
    } else {
      auto patch = decode_json_any(arena, body);
      if (!patch || patch->kind != ValueKind::map)
        return bad_request(fmt::format("error decoding patch: {}", patch ? "json: cannot unmarshal into Go value of type map[string]interface {}" : patch.error().message));
      patched = patch_kind == PatchKind::merge ? apply_merge_patch(arena, any, *patch)
                                               : apply_strategic_patch(arena, any, *patch, type);
    }
    if (!patched) return patched.error();
    auto typed = convert_any(arena, *patched, type, sink);
    const auto refuse = [&](std::string_view why) {
      std::string shown;
      encode_json_any(shown, *patched);
      const std::string what = fmt::format("Invalid value: {}: {}", quote(shown), why);
      return invalid("", "", "", {{"FieldValueInvalid", what, "patch"}}, "patch: " + what);
    };
    if (!typed) return refuse(typed.error().message);
    if (type.has_type_meta) {
      const Value *kind_word = typed->get(0), *version_word = typed->get(1);
      if (!kind_word || kind_word->str() != call.kind->kind || !version_word || version_word->str() != api_version)
        return refuse(fmt::format("{} in version \"{}\" cannot be handled as a {}", kind_word ? kind_word->str() : "", version_word ? version_word->str() : "", call.kind->kind));
    }
    if (!issues.messages.empty()) {
      if (call.field_validation == FieldValidation::strict)
        return refuse(fmt::format("strict decoding error: {}", fmt::join(issues.messages, ", ")));
      if (call.field_validation == FieldValidation::warn)
        for (auto& message : issues.messages) call.warnings.add(message);
    }
    if (type.has_type_meta) {
      erase_field(*typed, 0);
      erase_field(*typed, 1);
    }
    strategy_for(call.kind->group_version.group, call.kind->resource).set_defaults(*call.kind, arena, *typed);
    result = stored.type != &type ? convert_value(arena, *typed, type, *stored.type) : *typed;
    const ObjectMeta metadata(result.get(metadata_field(*stored.type)));
    if (metadata.name() != call.info.name)
      return bad_request(fmt::format("the name of the object ({}) does not match the name on the URL ({})", metadata.name(), call.info.name));
    if (call.kind->is_namespaced && !metadata.namespace_().empty() && metadata.namespace_() != call.info.name_space)
      return bad_request("the namespace of the provided object does not match the namespace sent on the request");
    return prepare_update(call, result, before);
  };
  auto written = co_await modify(call, call.info.name, change);
  co_return written;
}

}  // namespace rusternetes::api_server
