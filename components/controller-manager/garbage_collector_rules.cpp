#include "controller-manager/garbage_collector_rules.h"

#include <fmt/format.h>

#include "client/object_builder.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using meta_v1::ObjectMeta;
using meta_v1::OwnerReference;

namespace {

bool is_same(const OwnerReference& a, const OwnerReference& b) {
  return a.uid() == b.uid() && a.name() == b.name() && a.kind() == b.kind() &&
         a.apiVersion() == b.apiVersion() && a.blockOwnerDeletion() == b.blockOwnerDeletion() &&
         a.controller() == b.controller();
}

}  // namespace

bool has_finalizer(const Document& object, std::string_view name) {
  for (const auto finalizer : metadata_of(object).finalizers())
    if (finalizer == name) return true;
  return false;
}

Document without_finalizer(const Document& object, std::string_view name) {
  client::ObjectBuilder builder(object);
  Value& metadata = ensure(builder.arena(), builder.root(), 2);
  Value kept = Value::empty(ValueKind::list);
  for (const auto finalizer : metadata_of(object).finalizers())
    if (finalizer != name) append_string(builder.arena(), kept, finalizer);
  if (kept.size)
    assign(set_field(builder.arena(), metadata, ObjectMeta::f_finalizers), kept);
  else
    erase_field(metadata, ObjectMeta::f_finalizers);
  return builder.freeze();
}

bool waits_for_dependents(const Document& object) {
  return metadata_of(object).has_deletionTimestamp() && has_finalizer(object, foreground_finalizer);
}

bool has_reference(const Document& object, const OwnerReference& reference) {
  for (const auto owner : metadata_of(object).ownerReferences())
    if (is_same(owner, reference)) return true;
  return false;
}

bool is_same_in_graph(const Document& before, const Document& now) {
  const ObjectMeta a = metadata_of(before), b = metadata_of(now);
  if (a.has_deletionTimestamp() != b.has_deletionTimestamp()) return false;
  const auto a_owners = a.ownerReferences(), b_owners = b.ownerReferences();
  if (a_owners.size() != b_owners.size()) return false;
  for (std::size_t i = 0; i < a_owners.size(); ++i)
    if (!is_same(a_owners[i], b_owners[i])) return false;
  const auto a_finalizers = a.finalizers(), b_finalizers = b.finalizers();
  if (a_finalizers.size() != b_finalizers.size()) return false;
  for (std::size_t i = 0; i < a_finalizers.size(); ++i)
    if (a_finalizers[i] != b_finalizers[i]) return false;
  return true;
}

bool blocks(const Document& object, std::string_view owner_uid) {
  for (const auto owner : metadata_of(object).ownerReferences())
    if (owner.uid() == owner_uid && owner.blockOwnerDeletion()) return true;
  return false;
}

bool is_at(const Kind& object_kind, const Document& object, const Kind& kind, std::string_view name_space,
           std::string_view name) {
  return object_kind.storage_prefix == kind.storage_prefix && client::name_of(object) == name &&
         (!kind.is_namespaced || client::namespace_of(object) == name_space);
}

std::string reference_key(const OwnerReference& owner, std::string_view name_space) {
  return fmt::format("{} {} {} {} {}", owner.uid(), owner.apiVersion(), owner.kind(), name_space,
                     owner.name());
}

bool is_absent(const Status& error, const Kind& kind, std::string_view name) {
  return error.is("NotFound") && error.details && error.details->kind == kind.resource &&
         error.details->group == kind.group_version.group && error.details->name == name;
}

}  // namespace rusternetes::controller_manager
