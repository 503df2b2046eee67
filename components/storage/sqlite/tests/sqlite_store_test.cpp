// What the store in a file does beyond the interface's promises, which are storage/suite's and run here too.
#include "storage/sqlite/sqlite_store.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <map>
#include <random>

#include "folder.h"
#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::testing;
using sqlite::SqliteStore;

namespace rusternetes::storage::suite {
namespace {

class SqliteUnderTest final : public StoreUnderTest {
 public:
  SqliteUnderTest() { open(); }
  Store& store() override { return *store_; }
  // Killing a process is kill_test.cpp's matter.
  void restart() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    auto opened = open_store(folder_.file());
    REQUIRE(opened);
    store_ = std::move(*opened);
  }
  Folder folder_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace

std::vector<Subject> subjects() {
  return {{"sqlite", [] { return std::make_unique<SqliteUnderTest>(); }}};
}

}  // namespace rusternetes::storage::suite

namespace {

std::unique_ptr<SqliteStore> open_store(const Folder& folder) {
  auto store = storage::testing::open_store(folder.file());
  REQUIRE(store);
  return std::move(*store);
}

}  // namespace

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
      request.success.emplace_back(PutRequest{key, suite::bytes("x"), 7, false, false, false});
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
  for (int i = 0; i < 100; ++i) suite::put(*store, "k", std::to_string(i));
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
  for (int i = 0; i < 50; ++i) suite::put(*store, "k" + std::to_string(i), "v");
  const std::string copy = folder.path / "copy.db";
  auto revision = store->copy_to(copy);
  REQUIRE(revision);
  CHECK(*revision == store->current_revision());
  CHECK((std::filesystem::status(copy).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
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
    std::string key =
        "/registry/" + std::string(random() % 2 ? "pods/" : "leases/") + std::to_string(random() % 5000);
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
    std::string from = "/registry/pods/" + std::to_string(random() % 5000),
                to = "/registry/pods/" + std::to_string(random() % 5000);
    if (to < from) std::swap(from, to);
    const auto expected = std::distance(model.lower_bound(from), model.lower_bound(to));
    CHECK(index.count(from, to) == static_cast<std::size_t>(expected));
    std::size_t seen = 0;
    index.visit(from, to, [&](std::string_view, const sqlite::IndexEntry&) { return ++seen, true; });
    CHECK(seen == static_cast<std::size_t>(expected));
  }
  CHECK(index.memory_bytes() < index.size() * 100);
}
