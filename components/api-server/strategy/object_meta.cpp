#include "api-server/strategy/object_meta.h"

#include <fmt/format.h>

#include "api-server/storage_codec.h"
#include "api-server/strategy/checks.h"
#include "apimachinery/json.h"
#include "apimachinery/quote.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

BadValue shown(const ObjectMeta& metadata, int field) {
  std::string json;
  encode_json(json, *metadata.value()->get(field), *ObjectMeta::schema_type().fields[static_cast<std::size_t>(field)].type);
  return BadValue::json(std::move(json));
}

// Errors name the list, not the item.
void check_owners(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  std::string controller;
  for (const auto owner : metadata.ownerReferences()) {
    // "group/" is a version that is empty.
    if (owner.apiVersion().empty() || owner.apiVersion().ends_with('/'))
      errors.push_back(field::invalid(path.child("apiVersion"), owner.apiVersion(), "version must not be empty"));
    if (owner.kind().empty()) errors.push_back(field::invalid(path.child("kind"), owner.kind(), "must not be empty"));
    if (owner.name().empty()) errors.push_back(field::invalid(path.child("name"), owner.name(), "must not be empty"));
    if (owner.uid().empty()) errors.push_back(field::invalid(path.child("uid"), owner.uid(), "must not be empty"));
    if (owner.kind() == "Event" && owner.apiVersion() == "v1") {
      std::string json;
      encode_json(json, *owner.value(), meta_v1::OwnerReference::schema_type());
      errors.push_back(field::invalid(path, BadValue::json(json), "/v1, Kind=Event is disallowed from being an owner"));
    }
    if (!owner.controller()) continue;
    const std::string name = fmt::format("{}/{}", owner.kind(), owner.name());
    if (controller.empty())
      controller = name;
    else
      errors.push_back(field::invalid(path, shown(metadata, ObjectMeta::f_ownerReferences), fmt::format(
          "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}", controller, name)));
  }
}

void check_known_finalizers(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto finalizer : metadata.finalizers()) {
    if (finalizer.find('/') == std::string_view::npos && !is_any_of(finalizer, {"orphan", "foregroundDeletion", "kubernetes"}))
      errors.push_back(field::invalid(path.index(i), finalizer, "name is neither a standard finalizer name nor is it fully qualified"));
    ++i;
  }
}

void check_finalizers(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  bool orphan = false, foreground = false;
  for (const auto finalizer : metadata.finalizers()) {
    check_qualified_name(finalizer, path, errors);
    orphan |= finalizer == "orphan";
    foreground |= finalizer == "foregroundDeletion";
  }
  if (orphan && foreground)
    errors.push_back(field::invalid(path, shown(metadata, ObjectMeta::f_finalizers), "finalizer orphan and foregroundDeletion cannot be both set"));
}

void check_new_finalizers(const ObjectMeta& now, const ObjectMeta& then, const FieldPath& path, FieldErrorList& errors) {
  std::string added;
  for (const auto finalizer : now.finalizers()) {
    bool is_old = false;
    for (const auto one : then.finalizers()) is_old |= one == finalizer;
    if (!is_old) added += fmt::format("{}{}", added.empty() ? "" : ", ", quote(finalizer));
  }
  if (!added.empty())
    errors.push_back(field::forbidden(path, fmt::format(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}", added)));
}

void check_common(const ObjectMeta& metadata, const FieldPath& path, bool wants_known_finalizers, FieldErrorList& errors) {
  check_labels(metadata.labels(), path.child("labels"), errors);
  check_annotations(metadata.annotations(), path.child("annotations"), errors);
  check_owners(metadata, path.child("ownerReferences"), errors);
  check_finalizers(metadata, path.child("finalizers"), errors);
  if (wants_known_finalizers) check_known_finalizers(metadata, path.child("finalizers"), errors);
}

void check_namespace(const ObjectMeta& metadata, bool is_namespaced, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view name_space = metadata.namespace_();
  if (!is_namespaced) {
    if (!name_space.empty()) errors.push_back(field::forbidden(path, "not allowed on this type"));
  } else if (name_space.empty()) {
    errors.push_back(field::required(path));
  } else {
    check_dns_label(name_space, path, errors);
  }
}

}  // namespace

void validate_object_meta(const StrategyContext& context, const Strategy& strategy, const Value& object,
                          FieldErrorList& errors) {
  const ObjectMeta metadata(object.get(metadata_field(*context.kind.type)));
  const FieldPath path("metadata");
  if (!metadata.generateName().empty())
    for (const auto& problem : strategy.name_problems(metadata.generateName(), true))
      errors.push_back(field::invalid(path.child("generateName"), metadata.generateName(), problem));
  if (metadata.name().empty()) {
    errors.push_back(field::required(path.child("name"), "name or generateName is required"));
  } else {
    for (const auto& problem : strategy.name_problems(metadata.name(), false))
      errors.push_back(field::invalid(path.child("name"), metadata.name(), problem));
  }
  check_namespace(metadata, context.kind.is_namespaced, path.child("namespace"), errors);
  check_common(metadata, path, strategy.requires_qualified_finalizers(), errors);
}

void validate_object_meta_update(const StrategyContext& context, const Value& object, const Value& old,
                                 FieldErrorList& errors) {
  const int at = metadata_field(*context.kind.type);
  const ObjectMeta now(object.get(at)), then(old.get(at));
  const FieldPath path("metadata");
  if (then.has_deletionTimestamp()) check_new_finalizers(now, then, path.child("finalizers"), errors);
  const auto same_text = [&](std::string_view name, std::string_view a, std::string_view b) {
    if (a != b) errors.push_back(field::invalid(path.child(name), a, field_is_immutable));
  };
  const auto same_time = [&](std::string_view name, int field, std::int64_t value_us) {
    if (!is_same(now.value()->get(field), then.value()->get(field)))
      errors.push_back(field::invalid(path.child(name), format_time(value_us), field_is_immutable));
  };
  same_text("name", now.name(), then.name());
  same_text("namespace", now.namespace_(), then.namespace_());
  same_text("uid", now.uid(), then.uid());
  same_time("creationTimestamp", ObjectMeta::f_creationTimestamp, now.creationTimestamp());
  same_time("deletionTimestamp", ObjectMeta::f_deletionTimestamp, now.deletionTimestamp());
  if (!is_same(now.value()->get(ObjectMeta::f_deletionGracePeriodSeconds), then.value()->get(ObjectMeta::f_deletionGracePeriodSeconds)))
    errors.push_back(field::invalid(path.child("deletionGracePeriodSeconds"), now.deletionGracePeriodSeconds(), field_is_immutable));
  const Strategy& strategy = strategy_for(context.kind.group_version.group, context.kind.resource);
  check_common(now, path, strategy.requires_qualified_finalizers(), errors);
}

}  // namespace rusternetes::api_server
