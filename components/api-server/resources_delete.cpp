// delete and deletecollection (registry/generic/registry Store.Delete and rest.BeforeDelete).

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/resources.h"
#include "api-server/storage_codec.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

constexpr std::string_view orphan_finalizer = "orphan", foreground_finalizer = "foregroundDeletion";

// What the propagation policy makes of metadata.finalizers.
void set_propagation(Arena& arena, Value& metadata, const DeleteOptions& options) {
  bool orphan = options.propagation_policy == "Orphan" || options.orphan_dependents.value_or(false);
  bool foreground = options.propagation_policy == "Foreground";
  const bool is_chosen = !options.propagation_policy.empty() || options.orphan_dependents.has_value();
  if (!is_chosen) return;  // whatever the object has already
  Value list = Value::empty(ValueKind::list);
  for (const auto finalizer : ObjectMeta(&metadata).finalizers())
    if (finalizer != orphan_finalizer && finalizer != foreground_finalizer) append_string(arena, list, finalizer);
  if (orphan) append_string(arena, list, orphan_finalizer);
  if (foreground) append_string(arena, list, foreground_finalizer);
  if (list.size)
    assign(set_field(arena, metadata, ObjectMeta::f_finalizers), list);
  else
    erase_field(metadata, ObjectMeta::f_finalizers);
}

void mark_deleted(Call& call, const Strategy& strategy, Value& metadata, std::int64_t end_us, std::int64_t grace_s, bool is_first = true) {
  set_time(call.arena, metadata, ObjectMeta::f_deletionTimestamp, end_us - end_us % 1'000'000);
  set_integer(call.arena, metadata, ObjectMeta::f_deletionGracePeriodSeconds, grace_s);
  if (is_first && strategy.has_generation())
    set_integer(call.arena, metadata, ObjectMeta::f_generation, ObjectMeta(&metadata).generation() + 1);
}

bool is_namespace(const Kind& kind) { return kind.group_version.group.empty() && kind.resource == "namespaces"; }

}  // namespace

Task<Result<Written>> Resources::remove_one(Call& call, std::string name, DeleteOptions options) {
  const Kind& stored = *call.registry->storage_kind(*call.kind);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  const Strategy& strategy = strategy_for(what.group, what.resource);
  const int at = metadata_field(*stored.type);
  for (int attempt = 0;; ++attempt) {
    auto found = co_await fresh(call, name);
    if (!found) co_return found.error();
    EntryPtr before = *found;
    if (!before) co_return not_found(what, name);
    const ObjectMeta old(before->document.root().get(at));
    if (options.uid && *options.uid != old.uid())
      co_return conflict(what, name, fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", *options.uid, old.uid()));
    if (options.resource_version && *options.resource_version != old.resourceVersion())
      co_return conflict(what, name, fmt::format("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}", *options.resource_version, old.resourceVersion()));
    AdmissionRequest admission{call, "DELETE", stored, nullptr, &before->document.root(), name};
    auto accepted = admission_.mutate(admission);
    if (accepted) accepted = admission_.validate(admission);
    if (!accepted) co_return accepted.error();

    Value object = deep_copy(call.arena, before->document.root());
    Value& metadata = ensure(call.arena, object, at);
    set_propagation(call.arena, metadata, options);
    const std::int64_t grace_s = strategy.grace_period(object, options.grace_period_s);
    const bool has_finalizers = !ObjectMeta(&metadata).finalizers().empty() || keeps_when_deleted(call, object);
    const bool is_terminating = old.has_deletionTimestamp();
    const bool is_now = grace_s == 0 && !has_finalizers;
    Result<Written> written = Status{};
    if (is_now) {
      if (strategy.deletes_gracefully() && !is_terminating) mark_deleted(call, strategy, metadata, call.now_us, 0);
      written = co_await erase(call, before, object, name);
    } else {
      const std::int64_t left_s = old.deletionGracePeriodSeconds();
      if (!is_terminating || grace_s < left_s) {
        // A shorter period moves the end; a longer one changes nothing.
        const std::int64_t start_us = is_terminating ? old.deletionTimestamp() - left_s * 1'000'000 : call.now_us;
        const std::int64_t end_us = start_us + grace_s * 1'000'000;
        mark_deleted(call, strategy, metadata, end_us, grace_s, !is_terminating);
        if (is_namespace(*call.kind)) {
          erase_field(metadata, ObjectMeta::f_deletionGracePeriodSeconds);
          set_string(call.arena, ensure(call.arena, object, core_v1::Namespace::f_status), core_v1::NamespaceStatus::f_phase, "Terminating");
        }
      }
      written = co_await store_object(call, before, object, name);
    }
    if (written || !written.error().is("Conflict") || attempt >= most_attempts(strategy)) co_return written;
  }
}

Task<Result<Written>> Resources::remove(Call& call, DeleteOptions options) {
  co_return co_await remove_one(call, call.info.name, std::move(options));
}

Task<Result<Listed>> Resources::remove_collection(Call& call, DeleteOptions options) {
  auto listed = co_await list(call);
  if (!listed) co_return listed.error();
  for (const auto& entry : listed->entries) {
    const auto slash = entry->key.rfind('/');
    auto removed = co_await remove_one(call, slash == std::string::npos ? entry->key : entry->key.substr(slash + 1), options);
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
  }
  co_return listed;
}

}  // namespace rusternetes::api_server
