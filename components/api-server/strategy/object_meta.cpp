#include "api-server/strategy/object_meta.h"

#include <fmt/format.h>

#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

constexpr std::size_t annotations_limit_bytes = 256 * 1024;

void validate_labels(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  for (const auto& [key, value] : metadata.labels()) {
    errors.push_invalid(path.child("labels"), key, is_qualified_name(key));
    errors.push_invalid(path.child("labels"), value, is_valid_label_value(value));
  }
}

void validate_annotations(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  std::size_t total = 0;
  for (const auto& [key, value] : metadata.annotations()) {
    // Keys compare without case here.
    std::string lower(key);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    errors.push_invalid(path.child("annotations"), key, is_qualified_name(lower));
    total += key.size() + value.size();
  }
  if (total > annotations_limit_bytes)
    errors.push_back(field::too_long(path.child("annotations"), static_cast<std::int64_t>(annotations_limit_bytes)));
}

void validate_owners(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath list = path.child("ownerReferences");
  std::string_view controller;
  std::int64_t i = 0;
  for (const auto owner : metadata.ownerReferences()) {
    const FieldPath at = list.index(i++);
    if (owner.apiVersion().empty())
      errors.push_back(field::invalid(at.child("apiVersion"), owner.apiVersion(), "version must not be empty"));
    if (owner.kind().empty()) errors.push_back(field::invalid(at.child("kind"), owner.kind(), "must not be empty"));
    if (owner.name().empty()) errors.push_back(field::invalid(at.child("name"), owner.name(), "must not be empty"));
    if (owner.uid().empty()) errors.push_back(field::invalid(at.child("uid"), owner.uid(), "must not be empty"));
    if (owner.kind() == "Event" && (owner.apiVersion() == "v1" || owner.apiVersion() == "events.k8s.io/v1"))
      errors.push_back(field::invalid(at, fmt::format("{}, Kind=Event", owner.apiVersion()), "is disallowed from being an owner"));
    if (owner.controller()) {
      if (!controller.empty())
        errors.push_back(field::invalid(list, std::string(owner.name()), fmt::format(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}", controller, owner.name())));
      controller = owner.name();
    }
  }
}

void validate_finalizers(const ObjectMeta& metadata, const FieldPath& path, FieldErrorList& errors) {
  bool orphan = false, foreground = false;
  std::int64_t i = 0;
  const FieldPath list = path.child("finalizers");
  for (const auto finalizer : metadata.finalizers()) {
    const FieldPath at = list.index(i++);
    errors.push_invalid(at, finalizer, is_qualified_name(finalizer));
    if (finalizer.find('/') == std::string_view::npos && finalizer != "orphan" && finalizer != "foregroundDeletion" && finalizer != "kubernetes")
      errors.push_back(field::invalid(at, finalizer, "name is neither a standard finalizer name nor is it fully qualified"));
    orphan |= finalizer == "orphan";
    foreground |= finalizer == "foregroundDeletion";
  }
  if (orphan && foreground)
    errors.push_back(field::invalid(list, "orphan", "finalizer orphan and finalizer foregroundDeletion cannot be both set"));
}

void immutable(const FieldPath& path, std::string_view name, std::string_view now, std::string_view then,
               FieldErrorList& errors) {
  if (now != then) errors.push_back(field::invalid(path.child(name), now, "field is immutable"));
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
  if (context.kind.is_namespaced) {
    if (metadata.namespace_().empty())
      errors.push_back(field::required(path.child("namespace")));
    else
      errors.push_invalid(path.child("namespace"), metadata.namespace_(), is_dns1123_label(metadata.namespace_()));
  } else if (!metadata.namespace_().empty()) {
    errors.push_back(field::forbidden(path.child("namespace"), "not allowed on this type"));
  }
  validate_labels(metadata, path, errors);
  validate_annotations(metadata, path, errors);
  validate_owners(metadata, path, errors);
  validate_finalizers(metadata, path, errors);
}

void validate_object_meta_update(const StrategyContext& context, const Value& object, const Value& old,
                                 FieldErrorList& errors) {
  const int at = metadata_field(*context.kind.type);
  const ObjectMeta now(object.get(at)), then(old.get(at));
  const FieldPath path("metadata");
  // While an object is being deleted its finalizers only get fewer.
  if (then.has_deletionTimestamp()) {
    std::string added;
    for (const auto finalizer : now.finalizers()) {
      bool is_old = false;
      for (const auto one : then.finalizers()) is_old |= one == finalizer;
      if (!is_old) added += fmt::format("{}\"{}\"", added.empty() ? "" : ", ", finalizer);
    }
    if (!added.empty())
      errors.push_back(field::forbidden(path.child("finalizers"), fmt::format(
          "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}", added)));
  }
  immutable(path, "name", now.name(), then.name(), errors);
  immutable(path, "namespace", now.namespace_(), then.namespace_(), errors);
  immutable(path, "uid", now.uid(), then.uid(), errors);
  auto immutable_time = [&](std::string_view name, bool is_same, std::int64_t value_us) {
    if (!is_same) errors.push_back(field::invalid(path.child(name), std::to_string(value_us), "field is immutable"));
  };
  immutable_time("creationTimestamp", now.creationTimestamp() == then.creationTimestamp(), now.creationTimestamp());
  immutable_time("deletionTimestamp", now.has_deletionTimestamp() == then.has_deletionTimestamp() && now.deletionTimestamp() == then.deletionTimestamp(), now.deletionTimestamp());
  if (now.has_deletionGracePeriodSeconds() != then.has_deletionGracePeriodSeconds() || now.deletionGracePeriodSeconds() != then.deletionGracePeriodSeconds())
    errors.push_back(field::invalid(path.child("deletionGracePeriodSeconds"), now.deletionGracePeriodSeconds(), "field is immutable"));
  validate_labels(now, path, errors);
  validate_annotations(now, path, errors);
  validate_owners(now, path, errors);
  validate_finalizers(now, path, errors);
}

}  // namespace rusternetes::api_server
