// Our snapshots in the hands of the real etcd, and its in ours.

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>

#include "rhino/snapshot_command.h"
#include "rhino/snapshot_file.h"
#include "rhino/snapshot_import.h"
#include "rhino/snapshot_read.h"
#include "snapshot_folder.h"
#include "snapshot_peers.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

#define NEED_PEERS()                                                                     \
  if (!has_peers()) {                                                                    \
    WARN("skipped: no etcd, etcdctl and etcdutl in $PEERS (scripts/peers builds them)"); \
    return;                                                                              \
  }

namespace {

// The same operations on a real etcd and on a store of ours.
class Both {
 public:
  explicit Both(const Folder& folder)
      : etcd_(folder.file("etcd")), store_(std::in_place, folder.file("store.db")) {}
  Etcd& etcd() { return etcd_; }
  TestStore& store() { return *store_; }
  void close_store() { store_.reset(); }

  void put(const std::string& key, const std::string& value, storage::LeaseId lease = 0) {
    etcd_.ctl({"put", key, value, fmt::format("--lease={:x}", lease)});
    store_->put(key, value, lease);
  }
  void remove(const std::string& key, const std::string& end = {}) {
    etcd_.ctl(end.empty() ? std::vector<std::string>{"del", key} : std::vector<std::string>{"del", key, end});
    store_->remove(key, end);
  }
  storage::LeaseId grant(std::int64_t ttl_s) {
    // "lease 694d... granted with TTL(60s)"
    const auto said = etcd_.ctl({"lease", "grant", std::to_string(ttl_s)});
    const auto id = static_cast<storage::LeaseId>(std::stoull(said.substr(6, 16), nullptr, 16));
    store_->grant(id, ttl_s);
    return id;
  }
  void revoke(storage::LeaseId id) {
    etcd_.ctl({"lease", "revoke", fmt::format("{:x}", id)});
    REQUIRE(storage::blocking_call<void>([&](auto done) { (*store_)->lease_revoke(id, std::move(done)); }));
  }
  void compact(storage::Revision revision) {
    etcd_.ctl({"compaction", std::to_string(revision), "--physical"});
    store_->compact(revision);
  }

  // Puts, overwrites, removals of one and of many, a key that comes back, leases, bytes beyond text, large
  // values.
  void history(bool has_leases = true) {
    for (int i = 0; i < 8; ++i) put(fmt::format("key/{}", i), fmt::format("value {}", i));
    put("key/1", "changed");
    remove("key/2");
    remove("key/3", "key/6");
    lease_ = has_leases ? grant(3000) : 0;
    put("leased/a", "1", lease_);
    put("leased/b", "2", lease_);
    put("leased/b", "3");  // from now on without
    put("key/2", "again");
    put("\xff\xfe", std::string(5000, 'L'));
    if (has_leases) {
      const auto ended = grant(3000);
      put("ends/x", "1", ended);
      put("ends/y", "1", ended);
      revoke(ended);
    }
    put("large", std::string(100'000, 'x'));
    put("key/1", "");
  }
  storage::LeaseId lease_ = 0;

 private:
  Etcd etcd_;
  std::optional<TestStore> store_;
};

// Of a file; one with leased keys makes etcdutl panic, whoever wrote it.
std::string hash_of(const std::string& snapshot, std::int64_t revision) {
  const std::string copy = snapshot + ".hashed";  // etcdutl writes into what it reads
  std::filesystem::copy_file(snapshot, copy, std::filesystem::copy_options::overwrite_existing);
  return run_peer("etcdutl", {"hashkv", copy, "-w", "json", fmt::format("--rev={}", revision)});
}

void restore(const std::string& snapshot, const std::string& folder, std::vector<std::string> more = {}) {
  std::vector<std::string> words{"snapshot", "restore", snapshot, "--data-dir", folder};
  words.insert(words.end(), more.begin(), more.end());
  run_peer("etcdutl", words);
}

void check_same(const Etcd& one, const Etcd& other) {
  const auto newest = one.revision();
  REQUIRE(other.revision() == newest);
  REQUIRE(one.range(newest).starts_with("\"kvs\""));
  for (std::int64_t revision = 1; revision <= newest; ++revision) {
    INFO("revision " << revision);
    CHECK(one.range(revision) == other.range(revision));
  }
  CHECK(one.ctl({"lease", "list"}) == other.ctl({"lease", "list"}));
}

// Of a running etcd: hash, compacted revision and up to where.
std::string hash_of(const Etcd& etcd, std::int64_t revision) {
  const auto said = etcd.ctl({"endpoint", "hashkv", "-w", "json", fmt::format("--rev={}", revision)});
  return said.substr(said.find("\"hash\""));
}

std::string keys_of_lease(const Etcd& etcd, storage::LeaseId lease) {
  const auto said = etcd.ctl({"lease", "timetolive", fmt::format("{:x}", lease), "--keys"});
  return said.substr(said.find("attached"));
}

}  // namespace

TEST_CASE("our snapshot hashes as etcd's own after the same operations", "[peers]") {
  NEED_PEERS();
  const Folder folder;
  Both both(folder);
  both.history(false);
  both.compact(11);  // a removal of several keys
  both.put("key/6", "after");
  both.etcd().ctl({"snapshot", "save", folder.file("etcd.snap")});
  auto written =
      write_snapshot(*both.store(), {1, 2, "default", {"http://a"}, {"http://b"}}, folder.file("live.db"));
  REQUIRE(written);
  CHECK(written->revision == both.etcd().revision());
  both.close_store();
  REQUIRE(export_snapshot(folder.file("store.db"), folder.file("ours.snap")));
  for (std::int64_t revision = 11; revision <= written->revision; ++revision) {
    CHECK(hash_of(folder.file("ours.snap"), revision) == hash_of(folder.file("etcd.snap"), revision));
    CHECK(hash_of(folder.file("live.db"), revision) == hash_of(folder.file("etcd.snap"), revision));
  }
}

TEST_CASE("etcd restored from our snapshot has our keys at every revision, our leases and its own hash",
          "[peers]") {
  NEED_PEERS();
  for (const bool is_compacted : {false, true}) {
    const Folder folder;
    Both both(folder);
    both.history();
    if (is_compacted) both.compact(12);
    REQUIRE(
        write_snapshot(*both.store(), {1, 2, "default", {"http://a"}, {"http://b"}}, folder.file("ours.db")));
    restore(folder.file("ours.db"), folder.file("restored"), {"--skip-hash-check"});
    Etcd restored(folder.file("restored"));
    check_same(both.etcd(), restored);
    for (std::int64_t revision = 13; revision <= restored.revision(); ++revision)
      CHECK(hash_of(restored, revision) == hash_of(both.etcd(), revision));
    CHECK(keys_of_lease(restored, both.lease_) == keys_of_lease(both.etcd(), both.lease_));
    // It goes on from there: a key has its versions, a lease takes its keys along, history is compacted.
    restored.ctl({"put", "key/1", "after"});
    CHECK(restored.ctl({"get", "key/1", "-w", "json"}).find("\"version\":4") != std::string::npos);
    restored.ctl({"lease", "revoke", fmt::format("{:x}", both.lease_)});
    CHECK(restored.ctl({"get", "leased/a"}).empty());
    restored.ctl({"compaction", std::to_string(restored.revision()), "--physical"});
  }
}

TEST_CASE("etcd's snapshot, imported and exported by us, restores to the same etcd", "[peers]") {
  NEED_PEERS();
  const Folder folder;
  Both both(folder);
  both.history();
  both.compact(10);
  both.put("key/7", "newest");
  both.etcd().ctl({"snapshot", "save", folder.file("etcd.snap")});
  auto imported = import_snapshot(folder.file("etcd.snap"), folder.file("imported.db"), {0, false});
  REQUIRE(imported);
  CHECK(imported->revision == both.etcd().revision());
  REQUIRE(export_snapshot(folder.file("imported.db"), folder.file("ours.snap")));
  restore(folder.file("ours.snap"), folder.file("restored"));
  Etcd restored(folder.file("restored"));
  check_same(both.etcd(), restored);
  CHECK(hash_of(restored, 0) == hash_of(both.etcd(), 0));
}

TEST_CASE("a raised store gives an etcd of the raised revision, in which older ones are compacted",
          "[peers]") {
  NEED_PEERS();
  const Folder folder;
  {
    Etcd etcd(folder.file("etcd"));
    etcd.ctl({"put", "a", "1"});
    etcd.ctl({"put", "a", "2"});
    etcd.ctl({"put", "b", "1"});
    etcd.ctl({"del", "b"});
    etcd.ctl({"snapshot", "save", folder.file("etcd.snap")});
  }
  REQUIRE(import_snapshot(folder.file("etcd.snap"), folder.file("store.db"), {}));
  REQUIRE(export_snapshot(folder.file("store.db"), folder.file("ours.snap")));
  restore(folder.file("ours.snap"), folder.file("restored"));
  {
    Etcd restored(folder.file("restored"));
    CHECK(restored.revision() == 1'000'000'005);
    CHECK(restored.range(5) == "refused");
    CHECK(restored.ctl({"get", "a", "-w", "fields"}).find("\"ModRevision\" : 3") != std::string::npos);
    restored.ctl({"put", "a", "3"});
    CHECK(restored.revision() == 1'000'000'006);
    CHECK(restored.ctl({"get", "--prefix", "", "--count-only", "-w", "fields"}).find("\"Count\" : 1") !=
          std::string::npos);
    restored.ctl({"compaction", "1000000006", "--physical"});
    restored.ctl({"snapshot", "save", folder.file("again.snap")});
  }
  // Nor does etcdutl's own raise fall behind it, and what that wrote comes in again.
  restore(folder.file("ours.snap"), folder.file("bumped"), {"--bump-revision", "500", "--mark-compacted"});
  {
    Etcd bumped(folder.file("bumped"));
    CHECK(bumped.revision() == 1'000'000'505);
    bumped.ctl({"snapshot", "save", folder.file("bumped.snap")});
  }
  auto imported = import_snapshot(folder.file("bumped.snap"), folder.file("bumped.db"), {0, false});
  REQUIRE(imported);
  CHECK(imported->revision == 1'000'000'505);
  CHECK(imported->compact_revision == 1'000'000'505);
  CHECK(imported->keys == 1);
  auto again = import_snapshot(folder.file("again.snap"), folder.file("again.db"), {0, false});
  REQUIRE(again);
  CHECK(again->revision == 1'000'000'006);
}

TEST_CASE("a stopped member's db file is imported without its sum, a running one's is not", "[peers]") {
  NEED_PEERS();
  const Folder folder;
  Etcd etcd(folder.file("etcd"));
  for (int i = 0; i < 5; ++i) etcd.ctl({"put", "a", std::to_string(i)});
  const auto db = folder.file("etcd/member/snap/db");
  auto busy = import_snapshot(db, folder.file("store.db"), {0, true});
  REQUIRE_FALSE(busy);
  CHECK(busy.error().message.find("etcdctl snapshot save") != std::string::npos);
  etcd.stop();
  auto unsummed = import_snapshot(db, folder.file("store.db"), {0, false});
  REQUIRE_FALSE(unsummed);
  CHECK(unsummed.error().message.find("--skip-hash-check") != std::string::npos);
  auto imported = import_snapshot(db, folder.file("store.db"), {0, true});
  REQUIRE(imported);
  CHECK(imported->revision == 6);
}

TEST_CASE("an etcd with authentication is refused", "[peers]") {
  NEED_PEERS();
  const Folder folder;
  Etcd etcd(folder.file("etcd"));
  etcd.ctl({"user", "add", "root", "--new-user-password", "x"});
  etcd.ctl({"user", "grant-role", "root", "root"});
  etcd.ctl({"auth", "enable"});
  etcd.ctl({"--user", "root:x", "snapshot", "save", folder.file("snap")});
  auto refused = import_snapshot(folder.file("snap"), folder.file("store.db"), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("etcdctl auth disable") != std::string::npos);
}

TEST_CASE("the status of a snapshot is what etcdutl says, down to the hash", "[peers]") {
  NEED_PEERS();
  const Folder folder;
  {
    TestStore store(folder.file("store.db"));
    for (int i = 0; i < 3000; ++i)
      store.put(fmt::format("key {}", i % 1700), std::string(static_cast<std::size_t>(i), 'v'));
    store.remove("key 1", "key 2");
  }
  REQUIRE(export_snapshot(folder.file("store.db"), folder.file("ours.snap")));
  for (const auto& file : {folder.file("ours.snap"), kept_file("etcd-3.4.snap"), kept_file("etcd-3.5.db"),
                           kept_file("etcd-3.6.snap")}) {
    const auto theirs = run_peer("etcdutl", {"snapshot", "status", file, "-w", "json"});
    auto ours = snapshot_status(file);
    REQUIRE(ours);
    const auto same = fmt::format(R"({{"hash":{},"revision":{},"totalKey":{},"totalSize":{},"version":"{}"}})"
                                  "\n",
                                  ours->hash, ours->revision, ours->total_keys, ours->total_size_bytes,
                                  ours->version);
    CHECK(same == theirs);
    CLI::App app{"rhino"};
    SnapshotCommand snapshot(app);
    std::vector<std::string> words{file, "--from", "status", "snapshot"};
    app.parse(words);
    std::ostringstream out;
    auto* old = std::cout.rdbuf(out.rdbuf());
    const auto code = snapshot.run();
    std::cout.rdbuf(old);
    CHECK(code == 0);
    CHECK(out.str() == run_peer("etcdutl", {"snapshot", "status", file, "-w", "table"}));
  }
}
