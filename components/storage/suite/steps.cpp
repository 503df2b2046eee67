#include "storage/suite/steps.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <future>
#include <thread>

namespace rusternetes::storage::suite {
namespace {

// Starts a call and waits for its callback. The promise outlives a test that gave up.
template <class T, class Start>
Result<T> await(Start start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(patience) != std::future_status::ready)
    return Status{504, "NoAnswer", "the store never answered"};
  return future.get();
}

}  // namespace

std::shared_ptr<const std::string> bytes(std::string s) {
  return std::make_shared<const std::string>(std::move(s));
}

Result<TxnResponse> run(Store& store, TxnRequest request) {
  return await<TxnResponse>([&](auto done) { store.txn(std::move(request), std::move(done)); });
}
Result<TxnResponse> run(Store& store, std::vector<Operation> operations) {
  TxnRequest request;
  request.success = std::move(operations);
  return run(store, std::move(request));
}
Result<void> compact(Store& store, Revision revision) {
  return await<void>([&](auto done) { store.compact(revision, std::move(done)); });
}
Result<LeaseInfo> grant(Store& store, LeaseId id, std::int64_t ttl_s) {
  return await<LeaseInfo>([&](auto done) { store.lease_grant(id, ttl_s, std::move(done)); });
}
Result<void> revoke(Store& store, LeaseId id) {
  return await<void>([&](auto done) { store.lease_revoke(id, std::move(done)); });
}
Result<LeaseInfo> keep_alive(Store& store, LeaseId id) {
  return await<LeaseInfo>([&](auto done) { store.lease_keep_alive(id, std::move(done)); });
}

Revision put(Store& store, const std::string& key, const std::string& value, LeaseId lease) {
  auto response = run(store, {put_of(key, value, lease)});
  REQUIRE(response);
  return response->revision;
}
Revision remove(Store& store, const std::string& key, const std::string& range_end) {
  auto response = run(store, {delete_of(key, range_end)});
  REQUIRE(response);
  return response->revision;
}
Revision revision_of(Store& store) {
  auto response = store.range({.key = "any"});
  REQUIRE(response);
  return response->revision;
}
LeaseId granted(Store& store, std::int64_t ttl_s, LeaseId id) {
  auto lease = grant(store, id, ttl_s);
  REQUIRE(lease);
  return lease->id;
}

PutRequest put_of(std::string key, std::string value, LeaseId lease) {
  PutRequest request;
  request.key = std::move(key);
  request.value = bytes(std::move(value));
  request.lease = lease;
  return request;
}
DeleteRequest delete_of(std::string key, std::string range_end, bool previous) {
  return {std::move(key), std::move(range_end), previous};
}
Compare compare_number(std::string key, Compare::Target target, Compare::Relation relation,
                       std::int64_t number) {
  return {std::move(key), {}, target, relation, number, {}};
}
Compare compare_value(std::string key, Compare::Relation relation, std::string text) {
  return {std::move(key), {}, Compare::Target::value, relation, 0, std::move(text)};
}
std::shared_ptr<TxnRequest> nested(TxnRequest request) {
  return std::make_shared<TxnRequest>(std::move(request));
}

std::string shape(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c >= 0x20 && c < 0x7f)
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}
std::string shape(const KeyValue& kv) {
  std::string out = shape(kv.key);
  if (kv.value) out += "=" + shape(*kv.value);
  out += fmt::format(" {}/{}/{}", kv.create_revision, kv.mod_revision, kv.version);
  if (kv.lease) out += fmt::format(" lease {}", kv.lease);
  return out;
}
std::string shape(const std::vector<KeyValue>& kvs) {
  std::string out;
  for (const auto& kv : kvs) out += (out.empty() ? "" : "; ") + shape(kv);
  return out;
}
std::string shape(const Event& event) {
  std::string out;
  if (event.type == Event::Type::put) {
    out = "put " + shape(event.kv);
  } else {
    out = fmt::format("remove {} @{}", shape(event.kv.key), event.kv.mod_revision);
    // A removal has a key and a revision, and nothing else.
    if (event.kv.create_revision || event.kv.version || event.kv.lease ||
        (event.kv.value && !event.kv.value->empty()))
      out += " with " + shape(event.kv);
  }
  if (event.previous) out += " was " + shape(*event.previous);
  return out;
}
std::string shape(const std::vector<Event>& events) {
  std::string out;
  for (const auto& event : events) out += (out.empty() ? "" : "; ") + shape(event);
  return out;
}
std::string shape_of(Store& store, const std::string& key, const std::string& range_end, Revision revision) {
  auto response = store.range({.key = key, .range_end = range_end, .revision = revision});
  return response ? shape(response->kvs) : response.error().reason;
}

bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds at_most) {
  const auto end = std::chrono::steady_clock::now() + at_most;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool Receiver::is_progress_told = true;

struct Receiver::State {
  std::mutex mutex;
  std::condition_variable wake;
  bool accept = true;
  std::vector<WatchBatch> batches;
  std::size_t events = 0, refusals = 0;
  Status error{200, "", ""};
};

Receiver::Receiver(Store& store, WatchRequest request, bool accept) : state_(std::make_shared<State>()) {
  state_->accept = accept;
  auto watch = store.watch(std::move(request), [state = state_](std::shared_ptr<const WatchBatch> batch) {
    std::lock_guard lock(state->mutex);
    if (!state->accept && !batch->is_error()) {
      ++state->refusals;
      state->wake.notify_all();
      return false;
    }
    state->batches.push_back(*batch);
    state->events += batch->events.size();
    if (batch->is_error()) state->error = batch->error;
    state->wake.notify_all();
    return true;
  });
  if (watch) {
    watch_ = std::move(*watch);
  } else {
    std::lock_guard lock(state_->mutex);
    state_->error = watch.error();
  }
}

bool Receiver::wait_events(std::size_t count) {
  std::unique_lock lock(state_->mutex);
  return state_->wake.wait_for(lock, patience, [&] {
    return state_->events >= count || state_->error.code != 200;
  }) && state_->events >= count;
}

std::string Receiver::wait_error() {
  std::unique_lock lock(state_->mutex);
  state_->wake.wait_for(lock, patience, [&] { return state_->error.code != 200; });
  return state_->error.reason;
}

// Asked again and again: a server may leave one question unanswered while a watch of the same stream catches
// up.
bool Receiver::wait_revision(Revision revision) {
  std::size_t seen = 0;
  int quiet_rounds = 0;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (watch_ && std::chrono::steady_clock::now() < end) {
    watch_->request_progress();
    std::unique_lock lock(state_->mutex);
    // Who is never told of progress takes a little quiet for it, many times in a row.
    const auto round = std::chrono::milliseconds(is_progress_told ? 100 : 30);
    const bool is_there = state_->wake.wait_for(lock, round, [&] {
      return !state_->batches.empty() && state_->batches.back().revision >= revision;
    });
    if (is_there) return true;
    if (state_->error.code != 200) return false;
    quiet_rounds = state_->batches.size() == seen ? quiet_rounds + 1 : 0;
    seen = state_->batches.size();
    if (!is_progress_told && quiet_rounds >= 5) return true;
  }
  return false;
}

void Receiver::accept(bool yes) {
  {
    std::lock_guard lock(state_->mutex);
    state_->accept = yes;
  }
  if (yes && watch_) watch_->resume();
}

std::vector<Event> Receiver::events() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Event> out;
  for (const auto& batch : state_->batches) out.insert(out.end(), batch.events.begin(), batch.events.end());
  return out;
}
std::vector<WatchBatch> Receiver::batches() const {
  std::lock_guard lock(state_->mutex);
  return state_->batches;
}
std::size_t Receiver::refusals() const {
  std::lock_guard lock(state_->mutex);
  return state_->refusals;
}
std::string Receiver::error() const {
  std::lock_guard lock(state_->mutex);
  return state_->error.code == 200 ? "" : state_->error.reason;
}
Revision Receiver::compact_revision() const {
  std::lock_guard lock(state_->mutex);
  return state_->batches.empty() ? 0 : state_->batches.back().compact_revision;
}

}  // namespace rusternetes::storage::suite
