// Reading, and the one way by which any write reaches the store.

#include "api-server/resources.h"

#include <fmt/format.h>

#include <iterator>

#include "api-server/companions.h"
#include "api-server/continue_token.h"
#include "api-server/conversion.h"
#include "api-server/storage_codec.h"
#include "api-server/store_call.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

Resources::Resources(Cacher& cacher, const AdmissionChain& admission, Options options)
    : cacher_(cacher), admission_(admission), options_(options), leases_(cacher.store(), *options.clock) {}

namespace {

// Protobuf knows no empty list or map; the answer to a write shows what a later get will show.
void drop_empty(Value& value) {
  if (value.kind != ValueKind::structure && value.kind != ValueKind::list) return;
  auto children = value.children();
  for (Value& child : children) drop_empty(child);
  if (value.kind != ValueKind::structure) return;
  for (std::size_t i = value.children().size(); i-- > 0;) {
    const Value& child = value.children()[i];
    if ((child.kind == ValueKind::list || child.kind == ValueKind::map) && child.size == 0) erase_field(value, child.field);
  }
}

void add_companions(Call& call, storage::TxnRequest& request) {
  std::move(call.companions.compares.begin(), call.companions.compares.end(), std::back_inserter(request.compares));
  std::move(call.companions.success.begin(), call.companions.success.end(), std::back_inserter(request.success));
  call.companions = {};
}

}  // namespace

std::int64_t Resources::now_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(options_.clock->now().time_since_epoch()).count();
}

const Kind& Resources::storage_kind(const Call& call) const { return *call.registry->storage_kind(*call.kind); }

Task<Result<storage::TxnResponse>> Resources::commit(storage::TxnRequest request) {
  auto shared = std::make_shared<storage::TxnRequest>(std::move(request));
  auto write = [&store = cacher_.store(), shared](auto done) { store.txn(std::move(*shared), std::move(done)); };
  auto written = co_await store_call<storage::TxnResponse>(write);
  if (!written && written.error().is(storage::reason_no_space))
    co_return internal_error("etcdserver: mvcc: database space exceeded");
  co_return written;
}

Task<Result<EntryPtr>> Resources::fresh(Call& call, std::string name) {
  auto cache = cacher_.find(*call.kind);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  if (!cache) co_return method_not_supported(what, call.info.verb);
  RN_CO_CHECK(co_await refresh(call));
  // The cache may have been replaced meanwhile.
  cache = cacher_.find(*call.kind);
  if (!cache) co_return method_not_supported(what, call.info.verb);
  co_return cache->snapshot().map.find(call.object_key(name));
}

Task<Result<void>> Resources::refresh(Call& call) {
  call.claimed.clear();
  for (const auto& key : strategy_for(call.kind->group_version.group, call.kind->resource).claimed_keys()) {
    auto read = [&store = cacher_.store(), &key](auto done) { store.range(storage::RangeRequest{.key = key}, std::move(done)); };
    RN_CO_TRY(auto found, co_await store_call<storage::RangeResponse>(read));
    auto& claimed = call.claimed[key];
    if (!found.kvs.empty()) claimed = std::move(found.kvs.front());
  }
  co_return co_await cacher_.wait_for_newest();
}

Task<Result<EntryPtr>> Resources::get(Call& call) {
  const std::string_view wanted = call.info.query.get("resourceVersion");
  auto cache = cacher_.find(*call.kind);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  if (!cache) co_return method_not_supported(what, call.info.verb);
  if (wanted.empty()) {
    RN_CO_CHECK(co_await cacher_.wait_for_newest());
  } else {
    auto parsed = parse_resource_version(wanted);
    if (!parsed) co_return parsed.error();
    RN_CO_CHECK(co_await cacher_.wait_for(*parsed));
  }
  EntryPtr entry = cache->snapshot().map.find(call.object_key(call.info.name));
  if (!entry) co_return not_found(what, call.info.name);
  co_return entry;
}

Result<Written> Resources::finish(Call& call, Value object, storage::Revision revision, bool created) {
  const Kind& stored = storage_kind(call);
  if (stored.storage_encoding == Encoding::protobuf) drop_empty(object);
  if (revision) set_resource_version(call.arena, *stored.type, object, revision);
  if (stored.type != call.kind->type) object = convert_value(call.arena, object, *stored.type, *call.kind->type);
  return Written{object, call.kind, created, false};
}

Result<void> Resources::claim(Call& call, const StrategyContext& context, Value* object, const Value* old) {
  call.companions = {};
  Companions companions(cacher_, *call.registry, call.dry_run, call.claimed, call.companions);
  return strategy_for(call.kind->group_version.group, call.kind->resource).claim(context, companions, object, old);
}

// Puts an object in place of `before` (null: creates it). A Conflict means that somebody else was quicker.
Task<Result<Written>> Resources::store_object(Call& call, const EntryPtr& before, Value object, std::string name) {
  const Kind& stored = storage_kind(call);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  if (call.dry_run) co_return finish(call, object, before ? before->revision : 0, !before);
  storage::TxnRequest request;
  const std::string key = storage_key(stored, call.kind->is_namespaced ? call.info.name_space : "", name);
  storage::Compare compare;
  compare.key = key;
  compare.number = before ? before->revision : 0;
  request.compares.push_back(std::move(compare));
  request.has_unique_value = !before;  // with a uid of its own
  auto bytes = encode_for_storage(stored, object);
  if (before) {
    // A write that changes nothing makes no revision.
    const auto old_bytes = encode_for_storage(stored, before->document.root());
    if (*old_bytes == *bytes && call.companions.success.empty()) co_return finish(call, object, before->revision, false);
  }
  storage::PutRequest put;
  put.key = key;
  put.value = std::move(bytes);
  // Each write renews the object's time.
  const Strategy& strategy = strategy_for(what.group, what.resource);
  RN_CO_TRY(put.lease, co_await leases_.lease_for(strategy.ttl(options_.lifetimes)));
  request.success.emplace_back(std::move(put));
  const bool has_companions = !call.companions.success.empty();
  add_companions(call, request);
  auto response = co_await commit(std::move(request));
  if (!response) co_return response.error();
  if (!response->succeeded) {
    if (before) co_return stale_update(what, name);
    if (!has_companions) co_return already_exists(what, name);
    // The name, or something that was claimed with it?
    auto found = co_await fresh(call, name);
    if (!found) co_return found.error();
    if (*found) co_return already_exists(what, name);
    co_return stale_update(what, name);
  }
  co_return finish(call, object, response->revision, !before);
}

Task<Result<Written>> Resources::modify(Call& call, std::string name, Change change, bool allow_create) {
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  for (int attempt = 0;; ++attempt) {
    auto found = co_await fresh(call, name);
    if (!found) co_return found.error();
    EntryPtr before = *found;
    if (!before && !allow_create) co_return not_found(what, name);
    call.companions = {};
    Value object = before ? deep_copy(call.arena, before->document.root()) : Value::empty(ValueKind::structure);
    auto changed = change(before, object);
    if (!changed) co_return changed.error();
    // The last finalizer of an object that is being deleted has gone: so does the object.
    const ObjectMeta metadata(object.get(metadata_field(*storage_kind(call).type)));
    const bool is_done = before && metadata.has_deletionTimestamp() && metadata.finalizers().empty() &&
                         metadata.deletionGracePeriodSeconds() == 0 && !keeps_when_deleted(call, object);
    Result<Written> written = Status{};
    if (is_done)
      written = co_await erase(call, before, object, name);
    else
      written = co_await store_object(call, before, object, name);
    const bool is_race = !written && (written.error().is("Conflict") || (written.error().is("AlreadyExists") && allow_create));
    if (!is_race || attempt >= most_attempts(strategy_for(what.group, what.resource))) co_return written;
  }
}

// A namespace with spec.finalizers stays until the finalize subresource has taken them off.
bool Resources::keeps_when_deleted(const Call& call, const Value& object) const {
  if (!call.kind->group_version.group.empty() || call.kind->resource != "namespaces") return false;
  const int spec = call.kind->type->find("spec");
  const Value* finalizers = descend(&object, spec, call.kind->type->fields[static_cast<std::size_t>(spec)].type->find("finalizers"));
  return finalizers && finalizers->size > 0;
}

Task<Result<Written>> Resources::erase(Call& call, EntryPtr before, Value last, std::string name) {
  const Kind& stored = storage_kind(call);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  storage::Revision revision = before->revision;
  if (!call.dry_run) {
    storage::TxnRequest request;
    storage::Compare compare;
    compare.key = storage_key(stored, call.kind->is_namespaced ? call.info.name_space : "", name);
    compare.number = before->revision;
    storage::DeleteRequest remove;
    remove.key = compare.key;
    request.compares.push_back(std::move(compare));
    request.success.emplace_back(std::move(remove));
    const Strategy& strategy = strategy_for(what.group, what.resource);
    if (strategy.has_claims()) {
      const StrategyContext context{stored, call.arena, call.now_us, call.info.name_space, name, &call.user, &call.warnings};
      auto claimed = claim(call, context, nullptr, &before->document.root());
      if (!claimed) co_return claimed.error();
      add_companions(call, request);
    }
    auto response = co_await commit(std::move(request));
    if (!response) co_return response.error();
    if (!response->succeeded) co_return stale_update(what, name);
    revision = response->revision;
  }
  auto written = finish(call, last, revision, false);
  if (written) written->deleted = true;
  co_return written;
}

Task<Result<Listed>> Resources::list(Call& call) {
  auto cache = cacher_.find(*call.kind);
  const GroupResource what{call.kind->group_version.group, call.kind->resource};
  if (!cache) co_return method_not_supported(what, "list");
  auto selection = Selection::from(call);
  if (!selection) co_return selection.error();
  auto page = PageRequest::from(call);
  if (!page) co_return page.error();

  Listed out;
  if (page->exact_revision) {  // a continue token, or resourceVersionMatch=Exact
    const storage::Revision revision = *page->exact_revision;
    if (revision > cacher_.revision()) {
      RN_CO_TRY(const auto newest, co_await cacher_.newest());
      if (revision > newest) co_return too_large_resource_version(revision, newest);
    }
    auto reached = co_await cacher_.wait_for(revision);
    if (!reached) co_return reached.error();
    auto past = cache->snapshot_at(revision);
    if (!past) {
      auto read = co_await read_past(call, revision);
      if (!read) co_return page->is_continuation ? expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.") : read.error();
      past = std::move(*read);
    }
    out.snapshot = std::move(*past);
    out.revision = revision;
  } else {
    if (page->at_least) {
      RN_CO_CHECK(co_await cacher_.wait_for(*page->at_least));
    } else {
      RN_CO_CHECK(co_await cacher_.wait_for_newest());
    }
    out.revision = cacher_.revision();
    out.snapshot = cache->snapshot();
    out.revision = std::max(out.revision, out.snapshot.revision);
  }

  const std::string prefix = call.kind->is_namespaced && !call.info.name_space.empty() ? call.info.name_space + "/" : "";
  const std::string end = prefix.empty() ? "" : storage::prefix_end(prefix);
  const std::string from = page->is_continuation ? prefix + page->start_key : prefix;
  if (auto name = selection->single_name(); name && (!prefix.empty() || !call.kind->is_namespaced)) {
    const EntryPtr entry = out.snapshot.map.find(prefix + *name);
    if (entry && entry->key >= from && selection->matches(entry->document)) out.entries.push_back(entry);
    co_return out;
  }
  auto cursor = out.snapshot.map.from(from);
  while (const EntryPtr* entry = cursor.next()) {
    if (!(*entry)->key.starts_with(prefix)) break;
    if (!selection->matches((*entry)->document)) continue;
    if (page->limit > 0 && static_cast<std::int64_t>(out.entries.size()) == page->limit) {
      // The token names the last key that was given, as etcd's storage does.
      out.continue_token = encode_continue(out.revision, std::string_view(out.entries.back()->key).substr(prefix.size()));
      if (selection->is_everything())
        out.remaining = static_cast<std::int64_t>(out.snapshot.map.count((*entry)->key, end));
      break;
    }
    out.entries.push_back(*entry);
  }
  co_return out;
}

// A revision older than the kept snapshots, from the store itself.
Task<Result<Snapshot>> Resources::read_past(const Call& call, storage::Revision revision) {
  const Kind& stored = storage_kind(call);
  const std::string prefix = storage_prefix(stored);
  auto read = [&store = cacher_.store(), &prefix, revision](auto done) {
    store.range(storage::RangeRequest{.key = prefix, .range_end = storage::prefix_end(prefix), .revision = revision},
                std::move(done));
  };
  auto range = co_await store_call<storage::RangeResponse>(read);
  if (!range) {
    if (range.error().is(storage::reason_compacted))
      co_return expired(fmt::format("The resourceVersion for the provided list is too old."));
    co_return range.error();
  }
  Snapshot snapshot{{}, revision};
  for (const auto& kv : range->kvs) {
    RN_CO_TRY(const EntryPtr entry, cacher_.decode(stored, kv));
    snapshot.map = snapshot.map.put(entry);
  }
  co_return snapshot;
}

}  // namespace rusternetes::api_server
