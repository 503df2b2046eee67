#include "storage/sqlite/writer.h"

#include <algorithm>

namespace rusternetes::storage::sqlite {

Result<void> Writer::prepare() {
  Database& db = store_.writer_database_;
  struct Entry {
    Statement* statement;
    const char* sql;
  };
  const Entry all[] = {
      {&insert_log_,
       "INSERT INTO log(id, key, value, create_revision, version, lease, previous) VALUES(?,?,?,?,?,?,?)"},
      {&put_current_,
       "INSERT OR REPLACE INTO current(key, id, create_revision, version, lease) VALUES(?,?,?,?,?)"},
      {&delete_current_, "DELETE FROM current WHERE key=?"},
      {&read_log_, "SELECT value, create_revision, version, lease FROM log WHERE id=?"},
      {&put_lease_, "INSERT OR REPLACE INTO lease(id, ttl) VALUES(?,?)"},
      {&delete_lease_, "DELETE FROM lease WHERE id=?"},
      {&put_meta_, "INSERT OR REPLACE INTO meta(name, value) VALUES(?,?)"},
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&roll_back_, "ROLLBACK"},
      {&savepoint_, "SAVEPOINT one"},
      {&release_, "RELEASE one"},
      {&roll_to_, "ROLLBACK TO one"},
  };
  for (const auto& [statement, sql] : all) {
    RN_TRY(*statement, db.prepare(sql));
  }
  RN_TRY(compact_done_, db.query_integer("SELECT value FROM meta WHERE name='compact_done'"));
  return {};
}

Result<void> Writer::begin() {
  pending_.clear();
  committed_.clear();
  broken_.reset();
  compacted_ = store_.compact_revision();
  removed_leases_.clear();
  revision_ = store_.current_revision();
  RN_CHECK(begin_.run());
  in_transaction_ = true;
  return {};
}

Result<void> Writer::commit() {
  if (broken_) {
    roll_back();
    return *broken_;
  }
  auto result = commit_.run();
  if (result)
    in_transaction_ = false;
  else
    roll_back();
  return result;
}

void Writer::roll_back() {
  if (in_transaction_)
    (void)roll_back_.run();  // SQLite may have rolled back already; then this only complains
  in_transaction_ = false;
  pending_.clear();
  committed_.clear();
}

Result<void> Writer::or_break(Result<void> result) {
  if (!result && !broken_) broken_ = result.error();
  return result;
}

std::optional<Writer::State> Writer::state(std::string_view key) const {
  if (auto it = pending_.find(key); it != pending_.end()) {
    if (!it->second.is_live) return std::nullopt;
    return State{it->second.entry, true};
  }
  const IndexEntry* entry = store_.index_.find(key);  // only this thread changes the index
  if (!entry) return std::nullopt;
  return State{*entry, false};
}

// Index and batch merged, in key order.
void Writer::visit(std::string_view from, std::string_view to,
                   const std::function<bool(const std::string&, const State&)>& visit) const {
  auto it = pending_.lower_bound(from);
  auto is_before_end = [&](const std::string& key) { return to.empty() || key < to; };
  bool go_on = true;
  store_.index_.visit(from, to, [&](std::string_view key, const IndexEntry& entry) {
    for (; go_on && it != pending_.end() && it->first < key; ++it)
      if (it->second.is_live) go_on = visit(it->first, State{it->second.entry, true});
    if (!go_on) return false;
    if (it != pending_.end() && it->first == key) {
      if (it->second.is_live) go_on = visit(it->first, State{it->second.entry, true});
      ++it;
    } else {
      go_on = visit(std::string(key), State{entry, false});
    }
    return go_on;
  });
  for (; go_on && it != pending_.end() && is_before_end(it->first); ++it)
    if (it->second.is_live) go_on = visit(it->first, State{it->second.entry, true});
}

Result<KeyValue> Writer::read(const std::string& key, const State& state, bool keys_only) {
  KeyValue kv{key, nullptr, state.entry.create_revision, revision_of(state.entry.log_id), state.entry.version,
              0};
  if (state.is_pending) {
    const Pending& pending = pending_.find(key)->second;
    kv.lease = pending.lease;
    if (!keys_only) kv.value = pending.value;
    return kv;
  }
  if (keys_only && !state.entry.has_lease) return kv;
  read_log_.reset();
  RN_TRY(const bool found, read_log_.bind(1, state.entry.log_id).step());
  if (!found) return Status{500, "Damaged", "the store's file is damaged: a live key has no log row"};
  if (!keys_only) kv.value = std::make_shared<const std::string>(read_log_.bytes(0));
  kv.lease = read_log_.integer(3);
  read_log_.reset();
  return kv;
}

bool Writer::number_holds(std::int64_t left, const Compare& compare) const {
  switch (compare.relation) {
    case Compare::Relation::equal: return left == compare.number;
    case Compare::Relation::not_equal: return left != compare.number;
    case Compare::Relation::greater: return left > compare.number;
    case Compare::Relation::less: return left < compare.number;
  }
  return false;
}

namespace {

// What `range_end` means: one key, from a key on, or a range.
std::pair<std::string, std::string> bounds(const std::string& key, const std::string& range_end) {
  if (range_end.empty()) return {key, key + '\0'};
  if (range_end == std::string_view("\0", 1)) return {key, {}};
  return {key, range_end};
}

}  // namespace

Result<bool> Writer::holds(const Compare& compare) {
  const auto [from, to] = bounds(compare.key, compare.range_end);
  bool result = true, any = false;
  Status error{200, "", ""};
  auto check = [&](const std::string& key, const State* state) {
    any = true;
    const bool needs_row =
        compare.target == Compare::Target::value || compare.target == Compare::Target::lease;
    std::int64_t number = 0;
    if (state && !needs_row) {
      number = compare.target == Compare::Target::version           ? state->entry.version
               : compare.target == Compare::Target::create_revision ? state->entry.create_revision
                                                                    : revision_of(state->entry.log_id);
    } else if (state) {
      auto kv = read(key, *state, compare.target == Compare::Target::lease);
      if (!kv) {
        error = kv.error();
        return false;
      }
      if (compare.target == Compare::Target::value) {
        const int c = kv->value->compare(compare.text);
        result = compare.relation == Compare::Relation::equal     ? c == 0
                 : compare.relation == Compare::Relation::greater ? c > 0
                 : compare.relation == Compare::Relation::less    ? c < 0
                                                                  : c != 0;
        return result;
      }
      number = kv->lease;
    } else if (compare.target == Compare::Target::value) {
      result = false;  // an absent key has no value to compare
      return false;
    }
    result = number_holds(number, compare);
    return result;
  };
  visit(from, to, [&](const std::string& key, const State& state) { return check(key, &state); });
  if (!any && compare.range_end.empty()) check(compare.key, nullptr);
  // etcd: an empty range holds as an absent key would.
  if (!any && !compare.range_end.empty()) check(compare.key, nullptr);
  if (error.code != 200) return error;
  return result;
}

Result<TxnResponse> Writer::run(const TxnRequest& request) {
  if (broken_) return *broken_;
  undo_.clear();
  events_.clear();
  sub_ = 0;
  // A transaction that may write is guarded, so that a refused operation leaves nothing of the others.
  RN_CHECK(or_break(savepoint_.run()));
  TxnResponse response;
  std::vector<bool> path;
  auto done = choose(request, path);
  if (done) {
    auto next = path.cbegin();
    done = execute(request, next, response);
  }
  if (!done) {
    if (!store_.writer_database_.is_in_transaction()) {
      broken_ = done.error();
      return done.error();
    }
    RN_CHECK(or_break(roll_to_.run()));
    RN_CHECK(or_break(release_.run()));
    for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) {
      if (it->before)
        pending_[it->key] = *it->before;
      else
        pending_.erase(it->key);
    }
    return done.error();
  }
  RN_CHECK(or_break(release_.run()));
  if (sub_ > 0) {
    ++revision_;
    committed_.push_back({revision_, std::move(events_)});
  }
  response.revision = revision_;
  return response;
}

// Whether each transaction's compares hold, in the order in which `execute` comes to them.
Result<void> Writer::choose(const TxnRequest& request, std::vector<bool>& path) {
  bool is_met = true;
  for (const auto& compare : request.compares) {
    RN_TRY(is_met, holds(compare));
    if (!is_met) break;
  }
  path.push_back(is_met);
  for (const auto& operation : is_met ? request.success : request.failure)
    if (auto* inner = std::get_if<std::shared_ptr<TxnRequest>>(&operation)) RN_CHECK(choose(**inner, path));
  return {};
}

Result<void> Writer::execute(const TxnRequest& request, std::vector<bool>::const_iterator& path,
                             TxnResponse& response) {
  response.succeeded = *path++;
  for (const auto& operation : response.succeeded ? request.success : request.failure) {
    if (auto* range = std::get_if<RangeRequest>(&operation)) {
      RN_TRY(auto out, execute_range(*range));
      response.responses.emplace_back(std::move(out));
    } else if (auto* put = std::get_if<PutRequest>(&operation)) {
      RN_TRY(auto out, execute_put(*put));
      response.responses.emplace_back(std::move(out));
    } else if (auto* remove = std::get_if<DeleteRequest>(&operation)) {
      RN_TRY(auto out, execute_delete(*remove));
      response.responses.emplace_back(std::move(out));
    } else {
      auto inner = std::make_shared<TxnResponse>();
      RN_CHECK(execute(*std::get<std::shared_ptr<TxnRequest>>(operation), path, *inner));
      inner->revision = shown_revision();
      response.responses.emplace_back(std::move(inner));
    }
  }
  return {};
}

Result<RangeResponse> Writer::execute_range(const RangeRequest& request) {
  const Revision shown = shown_revision();
  if (request.revision < 0) return Status{410, reason_compacted, "required revision has been compacted"};
  if (request.revision > 0 && (request.revision != revision_ || sub_ > 0)) {
    if (request.revision > revision_)
      return Status{400, reason_future_revision, "required revision is a future revision"};
    if (request.revision > store_.current_revision()) is_postponed_ = true;
    // A read of the past inside a transaction sees what was committed.
    RN_TRY(auto past, store_.range(request));
    past.revision = shown;
    return past;
  }
  RangeResponse response;
  const auto [from, to] = bounds(request.key, request.range_end);
  if (request.count_only || request.limit > 0) {
    response.count = count(from, to);
    if (request.count_only) {
      response.revision = shown;
      return response;
    }
  }
  Status error{200, "", ""};
  visit(from, to, [&](const std::string& key, const State& state) {
    if (request.limit > 0 && static_cast<std::int64_t>(response.kvs.size()) >= request.limit) {
      response.more = true;
      return false;
    }
    if (request.limit <= 0) ++response.count;
    auto kv = read(key, state, request.keys_only);
    if (!kv) {
      error = kv.error();
      return false;
    }
    response.kvs.push_back(std::move(*kv));
    return true;
  });
  if (error.code != 200) return error;
  response.revision = shown;
  return response;
}

// The index's count, and what this batch has changed of it.
std::int64_t Writer::count(std::string_view from, std::string_view to) const {
  auto count = static_cast<std::int64_t>(store_.index_.count(from, to));
  for (auto it = pending_.lower_bound(from); it != pending_.end() && (to.empty() || it->first < to); ++it)
    count +=
        static_cast<int>(it->second.is_live) - static_cast<int>(store_.index_.find(it->first) != nullptr);
  return count;
}

void Writer::set_pending(const std::string& key, Pending pending) {
  auto it = pending_.find(key);
  undo_.push_back({key, it == pending_.end() ? std::nullopt : std::optional<Pending>(it->second)});
  pending_[key] = std::move(pending);
}

// `value` null removes the key. `before` is what it was.
Result<void> Writer::write(const std::string& key, std::shared_ptr<const std::string> value,
                           const IndexEntry* before, LeaseId lease, std::optional<KeyValue> previous) {
  const Revision revision = revision_ + 1;
  Pending next;
  next.is_live = value != nullptr;
  next.value = value;
  next.lease = lease;
  next.entry.log_id = revision << sub_bits | sub_;
  next.entry.create_revision = before ? before->create_revision : revision;
  next.entry.version = value ? (before ? before->version + 1 : 1) : 0;
  next.entry.has_lease = lease != 0;
  ++sub_;
  insert_log_.bind(1, next.entry.log_id).bind(2, key);
  if (value)
    insert_log_.bind(3, std::string_view(*value));
  else
    insert_log_.bind_null(3);
  insert_log_.bind(4, next.entry.create_revision)
      .bind(5, std::int64_t{next.entry.version})
      .bind(6, lease)
      .bind(7, before ? before->log_id : 0);
  RN_CHECK(insert_log_.run());
  if (value)
    RN_CHECK(put_current_.bind(1, key).bind(2, next.entry.log_id).bind(3, next.entry.create_revision)
                 .bind(4, std::int64_t{next.entry.version}).bind(5, lease).run());
  else
    RN_CHECK(delete_current_.bind(1, key).run());
  Event event;
  event.type = value ? Event::Type::put : Event::Type::remove;
  event.kv = {key, value, value ? next.entry.create_revision : 0, revision, next.entry.version, lease};
  event.previous = before_transaction(key, std::move(previous));
  events_.push_back(std::move(event));
  set_pending(key, std::move(next));
  return {};
}

// What watchers are told that a key was: its state before the whole transaction, of which it may be the
// second change.
std::optional<KeyValue> Writer::before_transaction(const std::string& key,
                                                   std::optional<KeyValue> previous) const {
  if (!previous || previous->mod_revision <= revision_) return previous;
  for (const auto& event : events_)
    if (event.kv.key == key) return event.previous;
  return previous;
}

Result<PutResponse> Writer::execute_put(const PutRequest& request) {
  if (request.key.empty()) return Status{400, "EmptyKey", "key is not provided"};
  const auto before = state(request.key);
  std::optional<KeyValue> previous;
  if (before) {
    RN_TRY(previous, read(request.key, *before, false));
  } else if (request.ignore_value || request.ignore_lease) {
    return Status{404, "KeyNotFound", "key not found"};
  }
  LeaseId lease = request.ignore_lease ? previous->lease : request.lease;
  if (lease) {
    std::lock_guard lock(store_.leases_mutex_);
    if (!store_.leases_.contains(lease) || is_removed(lease))
      return Status{404, "LeaseNotFound", "requested lease not found"};
  }
  auto value = request.ignore_value ? previous->value : request.value;
  if (!value) value = std::make_shared<const std::string>();
  PutResponse response;
  if (request.previous) response.previous = previous;
  RN_CHECK(
      write(request.key, std::move(value), before ? &before->entry : nullptr, lease, std::move(previous)));
  response.revision = shown_revision();
  return response;
}

Result<DeleteResponse> Writer::execute_delete(const DeleteRequest& request) {
  const auto [from, to] = bounds(request.key, request.range_end);
  std::vector<std::pair<std::string, State>> doomed;
  visit(from, to, [&](const std::string& key, const State& state) {
    doomed.emplace_back(key, state);
    return true;
  });
  if (doomed.size() + static_cast<std::size_t>(sub_) >= (1u << sub_bits))
    return Status{400, "TooManyRequests", "too many keys are removed at once"};
  DeleteResponse response;
  response.deleted = static_cast<std::int64_t>(doomed.size());
  for (const auto& [key, state] : doomed) {
    RN_TRY(auto previous, read(key, state, false));
    if (request.previous) response.previous.push_back(previous);
    RN_CHECK(write(key, nullptr, &state.entry, 0, std::move(previous)));
  }
  response.revision = shown_revision();
  return response;
}

Result<void> Writer::put_setting(const std::string& name, std::int64_t value) {
  if (broken_) return *broken_;
  return or_break(put_meta_.bind_text(1, name).bind(2, value).run());
}

Result<void> Writer::put_lease(LeaseId id, std::int64_t ttl_s) {
  if (broken_) return *broken_;
  return or_break(put_lease_.bind(1, id).bind(2, ttl_s).run());
}

Result<void> Writer::remove_lease(LeaseId id) {
  if (broken_) return *broken_;
  removed_leases_.insert(id);
  return or_break(delete_lease_.bind(1, id).run());
}

void Writer::add_keys_of(LeaseId id, std::set<std::string>& keys) const {
  for (const auto& [key, pending] : pending_)
    if (pending.is_live && pending.lease == id) keys.insert(key);
}

void Writer::publish() {
  {
    std::unique_lock lock(store_.index_mutex_);
    for (auto& [key, pending] : pending_) {
      if (pending.is_live)
        store_.index_.put(key, pending.entry);
      else
        store_.index_.erase(key);
    }
    store_.revision_.store(revision_, std::memory_order_release);
  }
  {
    std::lock_guard lock(store_.leases_mutex_);
    for (const auto& committed : committed_) {
      std::map<std::string_view, LeaseId> within;  // a key may change more than once in a transaction
      for (const auto& event : committed.events) {
        const auto known = within.find(event.kv.key);
        const LeaseId before = known != within.end() ? known->second
                               : event.previous      ? event.previous->lease
                                                     : 0;
        if (before && before != event.kv.lease)
          if (auto it = store_.leases_.find(before); it != store_.leases_.end())
            it->second.keys.erase(event.kv.key);
        if (event.kv.lease)
          if (auto it = store_.leases_.find(event.kv.lease); it != store_.leases_.end())
            it->second.keys.insert(event.kv.key);
        if (committed.events.size() > 1) within[event.kv.key] = event.kv.lease;
      }
    }
  }
  pending_.clear();
  store_.hub_.publish(std::move(committed_));
  committed_.clear();
}

}  // namespace rusternetes::storage::sqlite
