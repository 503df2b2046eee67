// Stores become snapshots, without anybody else's programs.

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "rhino/snapshot_file.h"
#include "rhino/snapshot_import.h"
#include "snapshot_history.h"
#include "storage/sqlite/database.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

SnapshotIdentity identity() {
  SnapshotIdentity out;
  out.cluster_id = 1;
  out.member_id = 0xabc;
  out.name = "de\"fault";
  out.client_urls = {"http://a:1", "http://b:2"};
  out.peer_urls = {"http://c:3"};
  out.has_nospace_alarm = true;
  return out;
}

}  // namespace

TEST_CASE("a snapshot holds every change of a store that was never compacted") {
  const Folder folder;
  TestStore store(folder.file("store.db"));
  fill(store);
  auto written = write_snapshot(*store, identity(), folder.file("snap"));
  REQUIRE(written);
  CHECK(written->revision == 7);
  CHECK(written->keys == 6);
  CHECK(written->size_bytes == static_cast<std::int64_t>(std::filesystem::file_size(folder.file("snap"))));
  CHECK(rows_of(folder.file("snap")) == "2a=1 3a=2 4b=x 5a 6c=1 7a=3 ");
  auto reader = open_snapshot(folder.file("snap"), Sum::ignored);
  REQUIRE(reader);
  std::map<std::string, std::string> facts;
  for (const char* bucket : {"meta", "members", "cluster", "alarm"})
    REQUIRE((*reader)->walk(bucket, [&](std::string_view key, std::string_view value) -> Result<void> {
      facts.emplace(key, value);
      return {};
    }));
  CHECK(facts.at("storageVersion") == "3.6.0");
  CHECK(
      facts.at("abc") ==
      R"({"id":2748,"peerURLs":["http://c:3"],"name":"de\"fault","clientURLs":["http://a:1","http://b:2"]})");
  CHECK(facts.at("confState") == R"({"voters":[2748],"auto_leave":false})");
  CHECK(facts.contains("\x08\xbc\x15\x10\x01"));  // AlarmMember
  CHECK_FALSE(facts.contains("finishedCompactRev"));
  CHECK_FALSE(write_snapshot(*store, identity(), folder.file("snap")));  // it exists
}

TEST_CASE("a snapshot that is taken while writes go on is of one revision") {
  const Folder folder;
  TestStore store(folder.file("store.db"));
  auto put_both = [&](int i) {
    storage::TxnRequest both;
    both.success.emplace_back(TestStore::put_request("left", std::to_string(i)));
    both.success.emplace_back(TestStore::put_request("right", std::to_string(i)));
    store.txn(std::move(both));
  };
  put_both(0);
  std::atomic<bool> is_over = false;
  std::thread writing([&] {
    for (int i = 1; !is_over; ++i) put_both(i);
  });
  storage::Revision last = 0;
  for (int i = 0; i < 20; ++i) {
    const auto file = folder.file(fmt::format("snap {}", i));
    auto written = write_snapshot(*store, identity(), file);
    REQUIRE(written);
    CHECK(written->revision >= last);
    last = written->revision;
    CHECK(written->keys == 2 * (written->revision - 1));
    auto status = snapshot_status(file);
    REQUIRE(status);
    CHECK(status->revision == written->revision);
  }
  is_over = true;
  writing.join();
  CHECK(last > 1);
}

TEST_CASE("of compacted changes a snapshot has what a finished compaction leaves, however far ours is") {
  const Folder folder;
  TestStore store(folder.file("store.db"));
  fill(store);
  store.compact(4);
  REQUIRE(write_snapshot(*store, identity(), folder.file("at 4")));
  CHECK(rows_of(folder.file("at 4")) == "3a=2 4b=x 5a 6c=1 7a=3 ");
  store.compact(6);
  REQUIRE(write_snapshot(*store, identity(), folder.file("at 6")));
  CHECK(rows_of(folder.file("at 6")) == "4b=x 6c=1 7a=3 ");
  store.remove("a", "z");  // 8, three keys
  store.compact(8);
  REQUIRE(write_snapshot(*store, identity(), folder.file("at 8")));
  CHECK(rows_of(folder.file("at 8")) == "8a 8b 8c ");
}

TEST_CASE("a declared compaction that has removed nothing yet is filtered out of a snapshot") {
  const Folder folder;
  {
    TestStore store(folder.file("store.db"));
    fill(store);
  }
  {
    auto database = storage::sqlite::Database::open(folder.file("store.db"), false);
    REQUIRE(database);
    REQUIRE(database->exec("INSERT INTO meta VALUES('compact_revision', 5)"));
  }
  REQUIRE(export_snapshot(folder.file("store.db"), folder.file("snap")));
  CHECK(rows_of(folder.file("snap")) == "4b=x 5a 6c=1 7a=3 ");  // the removal at 5 itself stays, as in etcd
}

TEST_CASE("a store that was raised becomes a snapshot of the raised revision") {
  const Folder folder;
  {
    TestStore store(folder.file("store.db"));
    fill(store);
  }
  REQUIRE(storage::sqlite::raise_revision(folder.file("store.db"), 1000));
  auto done = export_snapshot(folder.file("store.db"), folder.file("snap"));
  REQUIRE(done);
  CHECK(done->revision == 1007);
  CHECK(rows_of(folder.file("snap")) == "4b=x 6c=1 7a=3 1007 ");
  auto status = snapshot_status(folder.file("snap"));
  REQUIRE(status);
  CHECK(status->revision == 1007);
  CHECK(status->total_keys == 3);
  // And back: the mark is no key.
  auto imported = import_snapshot(folder.file("snap"), folder.file("again.db"), {0, false});
  REQUIRE(imported);
  CHECK(imported->revision == 1007);
  CHECK(imported->compact_revision == 1007);
  CHECK(imported->keys == 3);
  TestStore again(folder.file("again.db"));
  CHECK(again->current_revision() == 1007);
  CHECK(range_at(*again, 1006) == "Compacted");
  CHECK(range_at(*again, 0) == "a=3@7(7,1) b=x@4(4,1) c=1@6(6,1) ");
  CHECK(again.put("a", "4") == 1008);
}
