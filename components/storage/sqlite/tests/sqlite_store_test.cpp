#include "storage/sqlite/sqlite_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>

using namespace rusternetes;
using namespace rusternetes::storage;
using sqlite::SqliteStore;

namespace {

struct Folder {
  std::filesystem::path path;
  Folder() {
    char name[] = "/tmp/rusternetes-store-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { if (!getenv("KEEP")) std::filesystem::remove_all(path); }
  std::string file() const { return path / "store.db"; }
};

std::unique_ptr<SqliteStore> open_store(const Folder& folder) {
  sqlite::StoreOptions options;
  options.path = folder.file();
  auto store = SqliteStore::open(options);
  REQUIRE(store);
  return std::move(*store);
}

std::shared_ptr<const std::string> text(std::string s) { return std::make_shared<const std::string>(std::move(s)); }

Result<TxnResponse> run(Store& store, TxnRequest request) {
  std::promise<Result<TxnResponse>> promise;
  auto future = promise.get_future();
  store.txn(std::move(request), [&](Result<TxnResponse> r) { promise.set_value(std::move(r)); });
  return future.get();
}

Revision put(Store& store, const std::string& key, const std::string& value, LeaseId lease = 0) {
  TxnRequest request;
  request.success.emplace_back(PutRequest{key, text(value), lease, false, false, false});
  auto response = run(store, std::move(request));
  REQUIRE(response);
  return response->revision;
}

Revision remove(Store& store, const std::string& key, const std::string& end = {}) {
  TxnRequest request;
  request.success.emplace_back(DeleteRequest{key, end, false});
  auto response = run(store, std::move(request));
  REQUIRE(response);
  return response->revision;
}

// Collects a watch's events until a deadline or a number is reached.
struct Collector {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Event> events;
  Status error{200, "", ""};
  bool accept = true;
  Store::WatchCallback callback() {
    return [this](std::shared_ptr<const WatchBatch> batch) {
      std::lock_guard lock(mutex);
      if (!accept) return false;
      for (const auto& e : batch->events) events.push_back(e);
      if (batch->is_error()) error = batch->error;
      wake.notify_all();
      return true;
    };
  }
  bool wait(std::size_t n) {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, std::chrono::seconds(10), [&] { return events.size() >= n || error.code != 200; });
  }
};

}  // namespace

TEST_CASE("an empty store starts at revision 1 and every write makes one revision") {
  Folder folder;
  auto store = open_store(folder);
  CHECK(store->current_revision() == 1);
  CHECK(put(*store, "a", "1") == 2);
  CHECK(put(*store, "b", "2") == 3);
  CHECK(remove(*store, "absent") == 3);
  CHECK(remove(*store, "a", "c") == 4);
  auto range = store->range({.key = "a", .range_end = "z"});
  REQUIRE(range);
  CHECK(range->count == 0);
}

TEST_CASE("a transaction whose compare fails runs its failure branch") {
  Folder folder;
  auto store = open_store(folder);
  put(*store, "k", "v1");
  TxnRequest request;
  request.compares.push_back({"k", {}, Compare::Target::mod_revision, Compare::Relation::equal, 99, {}});
  request.success.emplace_back(PutRequest{"k", text("v2"), 0, false, false, false});
  request.failure.emplace_back(RangeRequest{.key = "k"});
  auto response = run(*store, request);
  REQUIRE(response);
  CHECK_FALSE(response->succeeded);
  CHECK(*std::get<RangeResponse>(response->responses[0]).kvs[0].value == "v1");
  CHECK(store->current_revision() == 2);
}

TEST_CASE("a range tells the whole count, stops at its limit and reads the past") {
  Folder folder;
  auto store = open_store(folder);
  std::map<std::string, std::string> model;
  std::vector<std::map<std::string, std::string>> history(2);
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::string key = "/registry/pods/ns/" + std::to_string(random() % 300);
    if (random() % 4 == 0 && model.contains(key)) {
      remove(*store, key);
      model.erase(key);
    } else {
      model[key] = std::to_string(i);
      put(*store, key, model[key]);
    }
    history.push_back(model);
  }
  for (Revision revision : {Revision{2}, Revision{500}, Revision{1999}, store->current_revision()}) {
    const auto& then = history[static_cast<std::size_t>(revision)];
    auto all = store->range({.key = "/registry/", .range_end = prefix_end("/registry/"), .revision = revision});
    REQUIRE(all);
    REQUIRE(all->kvs.size() == then.size());
    auto it = then.begin();
    for (const auto& kv : all->kvs) {
      CHECK(kv.key == it->first);
      CHECK(*kv.value == it->second);
      ++it;
    }
    auto page = store->range({.key = "/registry/", .range_end = prefix_end("/registry/"), .limit = 1, .revision = revision});
    REQUIRE(page);
    CHECK(page->count == static_cast<std::int64_t>(then.size()));
    CHECK(page->more == (then.size() > 1));
  }
  CHECK(store->range({.key = "a", .revision = 5000}).error().reason == reason_future_revision);
}

TEST_CASE("everything acknowledged is there after reopening") {
  Folder folder;
  Revision last;
  {
    auto store = open_store(folder);
    for (int i = 0; i < 500; ++i) put(*store, "key" + std::to_string(i), "value" + std::to_string(i));
    last = remove(*store, "key7");
  }
  auto store = open_store(folder);
  CHECK(store->current_revision() == last);
  auto range = store->range({.key = "key", .range_end = "kez"});
  REQUIRE(range);
  CHECK(range->count == 499);
}

TEST_CASE("a watch from the past gets every event once, in order, with previous values") {
  Folder folder;
  auto store = open_store(folder);
  for (int i = 0; i < 2500; ++i) put(*store, "a" + std::to_string(i % 10), std::to_string(i));
  Collector collector;
  auto watch = store->watch({"a", "b", 2, true}, collector.callback());
  REQUIRE(watch);
  for (int i = 2500; i < 3000; ++i) put(*store, "a" + std::to_string(i % 10), std::to_string(i));
  REQUIRE(collector.wait(3000));
  REQUIRE(collector.events.size() == 3000);
  for (int i = 0; i < 3000; ++i) {
    const auto& event = collector.events[static_cast<std::size_t>(i)];
    REQUIRE(*event.kv.value == std::to_string(i));
    REQUIRE(event.kv.mod_revision == i + 2);
    if (i >= 10) REQUIRE(*event.previous->value == std::to_string(i - 10));
  }
}

TEST_CASE("a watcher that refuses is caught up after it resumes, and nothing is lost") {
  Folder folder;
  auto store = open_store(folder);
  Collector collector;
  auto watch = store->watch({"a", "b", 0, false}, collector.callback());
  REQUIRE(watch);
  put(*store, "a1", "x");
  REQUIRE(collector.wait(1));
  {
    std::lock_guard lock(collector.mutex);
    collector.accept = false;
  }
  for (int i = 0; i < 100; ++i) put(*store, "a" + std::to_string(i), "y");
  {
    std::lock_guard lock(collector.mutex);
    collector.accept = true;
  }
  (*watch)->resume();
  REQUIRE(collector.wait(101));
  put(*store, "a", "z");
  REQUIRE(collector.wait(102));
  CHECK(collector.events.size() == 102);
}

TEST_CASE("compaction ends reads and watches of older revisions and frees their rows") {
  Folder folder;
  auto store = open_store(folder);
  for (int i = 0; i < 3000; ++i) put(*store, "k" + std::to_string(i % 3), std::string(1000, 'x'));
  std::promise<Result<void>> done;
  store->compact(2900, [&](Result<void> r) { done.set_value(r); });
  REQUIRE(done.get_future().get());
  CHECK(store->range({.key = "k0", .revision = 100}).error().reason == reason_compacted);
  CHECK(store->range({.key = "k0", .revision = 2900}));
  Collector collector;
  CHECK(store->watch({"k", "l", 5, false}, collector.callback()).error().reason == reason_compacted);
  auto now = store->range({.key = "k", .range_end = "l"});
  REQUIRE(now);
  CHECK(now->kvs.size() == 3);
  auto then = store->range({.key = "k", .range_end = "l", .revision = 2950});
  REQUIRE(then);
  CHECK(then->kvs.size() == 3);
}

TEST_CASE("a lease's keys go in one revision when it ends") {
  Folder folder;
  auto store = open_store(folder);
  std::promise<Result<LeaseInfo>> granted;
  store->lease_grant(0, 1, [&](Result<LeaseInfo> r) { granted.set_value(r); });
  auto lease = granted.get_future().get();
  REQUIRE(lease);
  Collector collector;
  auto watch = store->watch({"l", "m", 0, false}, collector.callback());
  put(*store, "l1", "x", lease->id);
  put(*store, "l2", "x", lease->id);
  REQUIRE(collector.wait(4));
  CHECK(collector.events[2].kv.mod_revision == collector.events[3].kv.mod_revision);
  put(*store, "after", "x");  // the writer's turn behind the revocation: the lease itself is gone by now
  CHECK(store->lease_time_to_live(lease->id, true).error().reason == "LeaseNotFound");
}

TEST_CASE("a lease revoked in the turn of its puts takes their keys, and no later put may use it") {
  Folder folder;
  auto store = open_store(folder);
  for (int round = 0; round < 50; ++round) {
    std::promise<Result<LeaseInfo>> granted;
    store->lease_grant(7, 100, [&](Result<LeaseInfo> r) { granted.set_value(r); });
    REQUIRE(granted.get_future().get());
    // Queued behind each other, so that most rounds have them in one commit.
    std::promise<Result<TxnResponse>> first, last;
    std::promise<Result<void>> revoked, again;
    auto put_with_lease = [&](const std::string& key, auto& promise) {
      TxnRequest request;
      request.success.emplace_back(PutRequest{key, text("x"), 7, false, false, false});
      store->txn(std::move(request), [&](Result<TxnResponse> r) { promise.set_value(std::move(r)); });
    };
    put_with_lease("l1", first);
    store->lease_revoke(7, [&](Result<void> r) { revoked.set_value(r); });
    put_with_lease("l2", last);
    store->lease_revoke(7, [&](Result<void> r) { again.set_value(r); });
    CHECK(first.get_future().get());
    CHECK(revoked.get_future().get());
    CHECK(last.get_future().get().error().reason == "LeaseNotFound");
    CHECK(again.get_future().get().error().reason == "LeaseNotFound");
    CHECK(store->range({.key = "l", .range_end = "m"})->count == 0);
  }
}

TEST_CASE("of two compactions in one turn the later one holds") {
  Folder folder;
  auto store = open_store(folder);
  for (int i = 0; i < 100; ++i) put(*store, "k", std::to_string(i));
  for (Revision revision = 10; revision < 90; revision += 4) {
    std::promise<Result<void>> first, second;
    store->compact(revision + 2, [&](Result<void> r) { first.set_value(r); });
    store->compact(revision, [&](Result<void> r) { second.set_value(r); });
    CHECK(first.get_future().get());
    CHECK(second.get_future().get().error().reason == reason_compacted);
    CHECK(store->compact_revision() == revision + 2);
  }
}

TEST_CASE("a copy holds one revision, and a raised store compacts its past") {
  Folder folder;
  auto store = open_store(folder);
  for (int i = 0; i < 50; ++i) put(*store, "k" + std::to_string(i), "v");
  const std::string copy = folder.path / "copy.db";
  auto revision = store->copy_to(copy);
  REQUIRE(revision);
  CHECK(*revision == store->current_revision());
  CHECK((std::filesystem::status(copy).permissions() & std::filesystem::perms::others_all) == std::filesystem::perms::none);
  CHECK_FALSE(store->copy_to(copy));
  auto raised = sqlite::raise_revision(copy, 1'000'000'000);
  REQUIRE(raised);
  sqlite::StoreOptions options;
  options.path = copy;
  auto restored = SqliteStore::open(options);
  REQUIRE(restored);
  CHECK((*restored)->current_revision() == *revision + 1'000'000'000);
  CHECK((*restored)->range({.key = "k", .range_end = "l"})->count == 50);
  CHECK((*restored)->range({.key = "k", .revision = *revision}).error().reason == reason_compacted);
}

TEST_CASE("a second opener is told that the store is in use") {
  Folder folder;
  auto store = open_store(folder);
  sqlite::StoreOptions options;
  options.path = folder.file();
  CHECK(SqliteStore::open(options).error().reason == "InUse");
}

TEST_CASE("the key index agrees with a map") {
  sqlite::KeyIndex index;
  std::map<std::string, std::int64_t> model;
  std::mt19937 random(3);
  for (int i = 0; i < 60000; ++i) {
    std::string key = "/registry/" + std::string(random() % 2 ? "pods/" : "leases/") + std::to_string(random() % 5000);
    if (random() % 3 == 0) {
      CHECK(index.erase(key) == (model.erase(key) == 1));
    } else {
      model[key] = i;
      index.put(key, {i, 0, 0, false});
    }
  }
  REQUIRE(index.size() == model.size());
  for (const auto& [key, id] : model) REQUIRE(index.find(key)->log_id == id);
  for (int i = 0; i < 200; ++i) {
    std::string from = "/registry/pods/" + std::to_string(random() % 5000), to = "/registry/pods/" + std::to_string(random() % 5000);
    if (to < from) std::swap(from, to);
    const auto expected = std::distance(model.lower_bound(from), model.lower_bound(to));
    CHECK(index.count(from, to) == static_cast<std::size_t>(expected));
    std::size_t seen = 0;
    index.visit(from, to, [&](std::string_view, const sqlite::IndexEntry&) { return ++seen, true; });
    CHECK(seen == static_cast<std::size_t>(expected));
  }
  CHECK(index.memory_bytes() < index.size() * 100);
}
