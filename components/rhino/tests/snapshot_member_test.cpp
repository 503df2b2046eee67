// A stopped or killed member of etcd becomes a store, with what only its write-ahead log has.

#include "rhino/snapshot_member.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "rhino/bolt/writer.h"
#include "rhino/raft/cluster.h"
#include "rhino/raft/wal.h"
#include "rhino/snapshot_restore.h"
#include "snapshot_command_harness.h"
#include "snapshot_history.h"
#include "snapshot_peers.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

std::string message_of(const Result<ImportSummary>& result) {
  return result ? "none" : result.error().message;
}

memberpb::Entry entry_of(std::uint64_t index, const memberpb::InternalRaftRequest& request) {
  memberpb::Entry entry;
  entry.set_type(0);
  entry.set_term(2);
  entry.set_index(index);
  entry.set_data(request.SerializeAsString());
  return entry;
}

memberpb::Entry put_entry(std::uint64_t index, const std::string& key, const std::string& value) {
  memberpb::InternalRaftRequest request;
  request.mutable_put()->set_key(key);
  request.mutable_put()->set_value(value);
  return entry_of(index, request);
}

std::string state_of(std::uint64_t commit) {
  memberpb::HardState state;
  state.set_term(2);
  state.set_commit(commit);
  return state.SerializeAsString();
}

// A member whose db ends at entry `members`, with these in its log.
std::string member_with(const Folder& folder, int members, const std::vector<memberpb::Entry>& entries,
                        std::uint64_t commit) {
  const auto data_dir = folder.file("etcd");
  std::filesystem::remove_all(data_dir);
  {
    std::filesystem::remove(folder.file("old.db"));
    TestStore store(folder.file("old.db"));
    fill(store);
  }
  RestoreOptions options;
  options.data_dir = data_dir;
  options.name = "m0";
  options.initial_advertise_peer_urls = "http://127.0.0.1:1";
  for (int i = 0; i < members; ++i)
    options.initial_cluster += fmt::format("{}m{}=http://127.0.0.1:{}", i ? "," : "", i, i + 1);
  REQUIRE(restore_snapshot(folder.file("old.db"), options));
  const auto wal_folder = data_dir + "/member/wal";
  std::filesystem::remove_all(wal_folder);
  std::filesystem::create_directory(wal_folder);
  raft::WalWriter wal;
  for (const auto& entry : entries) wal.append(raft::RecordType::entry, entry.SerializeAsString());
  wal.append(raft::RecordType::state, state_of(commit));
  REQUIRE(wal.save(wal_folder));
  return data_dir;
}

std::string wal_file(const std::string& data_dir) {
  return data_dir + "/member/wal/0000000000000000-0000000000000000.wal";
}

}  // namespace

TEST_CASE("writes that only the log has are done again") {
  const Folder folder;
  memberpb::InternalRaftRequest grant, leased, gone, txn, compaction, old;
  grant.mutable_lease_grant()->set_id(99);
  grant.mutable_lease_grant()->set_ttl(500);
  leased.mutable_put()->set_key("leased");
  leased.mutable_put()->set_lease(99);
  gone.mutable_put()->set_key("gone");
  gone.mutable_put()->set_lease(12345);  // refused by etcd, too
  auto& compare = *txn.mutable_txn()->add_compare();
  compare.set_key("b");
  compare.set_target(etcdserverpb::Compare::MOD);
  compare.set_mod_revision(4);
  txn.mutable_txn()->add_success()->mutable_request_delete_range()->set_key("b");
  txn.mutable_txn()->add_failure()->mutable_request_put()->set_key("wrong");
  compaction.mutable_compaction()->set_revision(8);
  old.set_v2("x");
  memberpb::Entry vote;  // of a new leader
  vote.set_index(2);
  const auto data_dir = member_with(
      folder, 1,
      {vote, put_entry(3, "given up", "x"), put_entry(3, "a", "from the log"), entry_of(4, grant),
       entry_of(5, leased), entry_of(6, gone), entry_of(7, txn), entry_of(8, compaction), entry_of(9, old)},
      2);
  auto imported = import_member(data_dir, folder.file("store.db"), {0, true}, false);
  INFO(message_of(imported));
  REQUIRE(imported);
  CHECK(imported->revision == 10);
  CHECK(imported->leases == 1);
  {
    TestStore store(folder.file("store.db"));
    CHECK(range_at(*store, 0) == "a=from the log@8(7,2) c=1@6(6,1) leased=@9(9,1)L99 ");
    CHECK(range_at(*store, 9).find("b=x@4(4,1)") != std::string::npos);
    CHECK(range_at(*store, 7) == "Compacted");
  }
  CHECK_FALSE(std::filesystem::exists(folder.file("store.db.member")));
  // By its db's name, raised; and without the log.
  const auto db = data_dir + "/member/snap/db";
  const auto raised = command({"snapshot", "import", "--from", db, "--data-dir", folder.file("raised")});
  INFO(raised.err);
  CHECK(raised.out.find("Imported 3 keys and 1 leases of revision 10") == 0);
  CHECK(TestStore(folder.file("raised/store.db"))->compact_revision() == 1'000'000'010);
  const auto without = command({"snapshot", "import", "--from", data_dir, "--data-dir",
                                folder.file("without"), "--skip-wal", "--bump-revision", "0"});
  INFO(without.err);
  CHECK(without.out.find("of revision 7 into") != std::string::npos);
  const auto twice = command({"snapshot", "import", "--from", data_dir, "--data-dir", folder.file("raised")});
  CHECK(twice.err.find("exists already") != std::string::npos);
  CHECK(command({"snapshot", "import", "--from", folder.path, "--data-dir", folder.file("none")}).code == 1);
  CHECK_FALSE(std::filesystem::exists(folder.file("none")));
}

TEST_CASE("of several members one does not decide about writes that were not agreed upon") {
  const Folder folder;
  auto data_dir = member_with(folder, 3, {put_entry(4, "a", "4"), put_entry(5, "a", "5")}, 4);
  CHECK(message_of(import_member(data_dir, folder.file("store.db"), {0, true}, false)).find("--skip-wal") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.file("store.db")));
  CHECK(import_member(data_dir, folder.file("db alone"), {0, true}, true)->revision == 7);
  data_dir = member_with(folder, 3, {put_entry(4, "a", "4"), put_entry(5, "a", "5")}, 5);
  CHECK(import_member(data_dir, folder.file("agreed"), {0, true}, false)->revision == 9);
}

TEST_CASE("a log that is damaged or has a hole is refused, one that was being written is not") {
  const Folder folder;
  const auto data_dir = member_with(
      folder, 1, {put_entry(2, "a", std::string(2000, 'x')), put_entry(3, "b", std::string(2000, 'y'))}, 3);
  const auto sound = read_file(wal_file(data_dir)).substr(0, 8192);
  auto outcome = [&](const std::string& bytes) {
    write_file(wal_file(data_dir), bytes);
    auto imported = import_member(data_dir, folder.file("store.db"), {0, true}, false);
    for (const char* suffix : {"", ".lock"})
      std::filesystem::remove(folder.file(std::string("store.db") + suffix));
    CHECK_FALSE(std::filesystem::exists(folder.file("store.db.member")));
    return imported ? fmt::format("revision {}", imported->revision) : imported.error().message;
  };
  CHECK(outcome(sound) == "revision 9");
  auto flipped = sound;
  flipped[1000] = 'z';
  CHECK(outcome(flipped).find("is damaged") != std::string::npos);
  auto torn = sound;  // the second record's last sectors are not there
  std::fill(torn.begin() + 3072, torn.end(), '\0');
  CHECK(outcome(torn) == "revision 8");
  CHECK(outcome(sound.substr(0, 3000)) == "revision 8");
  const auto hole = member_with(folder, 1, {put_entry(3, "a", "x")}, 3);
  CHECK(message_of(import_member(hole, folder.file("store.db"), {0, true}, false)).find("are missing") !=
        std::string::npos);
  std::filesystem::remove(wal_file(hole));
  CHECK(
      message_of(import_member(hole, folder.file("store.db"), {0, true}, false)).find("no write-ahead log") !=
      std::string::npos);
}

TEST_CASE("a stopped or killed etcd becomes a store with every write that it acknowledged", "[peers]") {
  for (const char* program : {"etcd", "etcd-3.4"}) {
    if (!has_peers() || ::access(peer(program).c_str(), X_OK) != 0) {
      WARN("skipped: no " << program << ", etcdctl and etcdutl in $PEERS (scripts/peers builds them)");
      continue;
    }
    for (const int signal : {SIGTERM, SIGKILL}) {
      INFO(program << " ended by signal " << signal);
      const Folder folder;
      Etcd etcd(folder.file("etcd"), program);
      for (int i = 0; i < 20; ++i) etcd.ctl({"put", fmt::format("key/{}", i % 7), std::to_string(i)});
      const auto lease = etcd.ctl({"lease", "grant", "5000"}).substr(6, 16);
      etcd.ctl({"compaction", "9"});
      etcd.ctl({"del", "nothing"});
      etcd.ctl({"put", "key/2", "leased", "--lease=" + lease});
      etcd.ctl({"del", "key/5"});
      const auto revision = etcd.revision();
      auto busy = import_member(folder.file("etcd"), folder.file("store.db"), {0, true}, false);
      CHECK(message_of(busy).find("in use") != std::string::npos);
      etcd.ctl({"put", "last", "of all"});
      etcd.stop(signal);
      auto imported = import_member(folder.file("etcd"), folder.file("store.db"), {0, true}, false);
      INFO(message_of(imported));
      REQUIRE(imported);
      CHECK(imported->revision == revision + 1);
      CHECK(imported->leases == 1);
      TestStore store(folder.file("store.db"));
      CHECK(range_at(*store, 0).find("last=of all@") != std::string::npos);
      CHECK(range_at(*store, 0).find("key/5") == std::string::npos);
      CHECK(range_at(*store, 8) == "Compacted");
      CHECK(store->key_count() == 7);
    }
  }
}
