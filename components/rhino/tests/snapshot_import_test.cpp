// Snapshots become stores: our own, kept ones of etcd, and none that is not sound.

#include <fmt/format.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <map>
#include <utility>

#include "etcd/kv.pb.h"
#include "rhino/bolt/writer.h"
#include "rhino/snapshot_file.h"
#include "rhino/snapshot_import.h"
#include "snapshot_history.h"
#include "storage/sqlite/dump.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

std::string message_of(const Result<ImportSummary>& result) {
  return result ? "none" : result.error().message;
}

std::string with_sum(std::string bytes) {
  unsigned char sum[32];
  ::EVP_Digest(bytes.data(), bytes.size(), sum, nullptr, EVP_sha256(), nullptr);
  return bytes.append(reinterpret_cast<const char*>(sum), 32);
}

// A snapshot with these rows in "key", and nothing to be said against it otherwise.
std::string made(const Folder& folder, const std::map<std::string, std::string>& rows,
                 const std::map<std::string, std::string>& auth = {}) {
  std::filesystem::remove(folder.file("made"));
  auto writer = bolt::Writer::create(folder.file("made"));
  REQUIRE(writer);
  const std::map<std::string, std::map<std::string, std::string>> buckets{
      {"auth", auth}, {"key", rows}, {"meta", {}}};
  for (const auto& [name, entries] : buckets) {
    (*writer)->begin_bucket(name);
    for (const auto& [key, value] : entries) REQUIRE((*writer)->put(key, value));
    REQUIRE((*writer)->end_bucket());
  }
  REQUIRE((*writer)->finish());
  return folder.file("made");
}

std::string value_of(std::int64_t revision, std::int64_t created = 2, std::int64_t version = 1) {
  mvccpb::KeyValue kv;
  kv.set_key("k");
  kv.set_value("v");
  kv.set_mod_revision(revision);
  kv.set_create_revision(created);
  kv.set_version(version);
  return kv.SerializeAsString();
}

}  // namespace

TEST_CASE("a store comes back from its snapshot with its history, its leases and its versions") {
  const Folder folder;
  std::map<storage::Revision, std::string> seen;
  {
    TestStore store(folder.file("store.db"));
    fill(store);
    store.grant(77, 3600);
    store.grant(-5, 60);
    store.put("leased", "v", 77);
    store.put("leased", "w", -5);
    storage::TxnRequest many;
    many.success.emplace_back(TestStore::put_request("m1", "1"));
    many.success.emplace_back(TestStore::put_request("m2", "2"));
    store.txn(std::move(many));
    store.remove("m", "n");
    store.put("m1", "again");
    store.put(std::string("\0\xff", 2), std::string("\0", 1));
    store.compact(4);
    for (storage::Revision revision = 4; revision <= store->current_revision(); ++revision)
      seen[revision] = range_at(*store, revision);
  }
  auto exported = export_snapshot(folder.file("store.db"), folder.file("snap"));
  REQUIRE(exported);
  auto imported = import_snapshot(folder.file("snap"), folder.file("again.db"), {0, false});
  REQUIRE(imported);
  CHECK(imported->compact_revision == 4);
  CHECK(imported->leases == 2);
  {
    TestStore again(folder.file("again.db"));
    for (const auto& [revision, range] : seen) CHECK(range_at(*again, revision) == range);
    CHECK(range_at(*again, 3) == "Compacted");
    auto lease = again->lease_time_to_live(-5, true);
    REQUIRE(lease);
    CHECK(lease->granted_ttl_s == 60);
    CHECK(lease->keys == std::vector<std::string>{"leased"});
    auto other = again->lease_time_to_live(77, true);
    REQUIRE(other);
    CHECK(other->keys.empty());
  }
  // The same rows come out again.
  REQUIRE(export_snapshot(folder.file("again.db"), folder.file("snap again")));
  CHECK(rows_of(folder.file("snap again")) == rows_of(folder.file("snap")));
  CHECK(snapshot_status(folder.file("snap again"))->hash == snapshot_status(folder.file("snap"))->hash);
}

TEST_CASE("an import raises revisions by a thousand million, and older ones count as compacted") {
  const Folder folder;
  for (const char* name : {"etcd-3.4.snap", "etcd-3.5.db", "etcd-3.6.snap"}) {
    ImportOptions options;
    options.skips_hash_check = std::string(name).ends_with(".db");
    const auto file = folder.file(std::string(name) + ".store");
    auto imported = import_snapshot(kept_file(name), file, options);
    REQUIRE(imported);
    CHECK(imported->snapshot_revision == 10);
    CHECK(imported->revision == 1'000'000'010);
    CHECK(imported->keys == 3);
    CHECK(imported->leases == 1);
    TestStore store(file);
    CHECK(store->current_revision() == 1'000'000'010);
    CHECK(store->compact_revision() == 1'000'000'010);
    CHECK(range_at(*store, 10) == "Compacted");
    const auto leases = store->leases();
    REQUIRE(leases);
    REQUIRE(leases->size() == 1);
    CHECK(range_at(*store, 0) ==
          fmt::format("a=again@9(9,1) b=y@7(4,2) leased=v@6(6,1)L{} ", leases->front()));
    CHECK(store->lease_time_to_live(leases->front(), true)->keys.size() == 1);
    CHECK(store.put("b", "z") == 1'000'000'011);
    CHECK(range_at(*store, 1'000'000'011).find("b=z@1000000011(4,3)") != std::string::npos);
  }
}

TEST_CASE("an import without a raise keeps the history of etcd 3.4, 3.5 and 3.6") {
  const Folder folder;
  for (const char* name : {"etcd-3.4.snap", "etcd-3.5.db", "etcd-3.6.snap"}) {
    const auto file = folder.file(std::string(name) + ".store");
    REQUIRE(import_snapshot(kept_file(name), file, {0, std::string(name).ends_with(".db")}));
    TestStore store(file);
    CHECK(store->current_revision() == 10);
    CHECK(store->compact_revision() == 4);
    CHECK(range_at(*store, 3) == "Compacted");
    CHECK(range_at(*store, 4) == "a=2@3(2,2) b=x@4(4,1) ");
    CHECK(range_at(*store, 5) == "b=x@4(4,1) ");
    CHECK(range_at(*store, 9).starts_with("a=again@9(9,1) b=y@7(4,2) c=1@8(8,1) leased=v@6(6,1)L"));
    CHECK(store.remove("b") == 11);
    CHECK(range_at(*store, 8).starts_with("b=y@7(4,2) c=1@8(8,1) "));
  }
}

TEST_CASE("what is no sound snapshot is refused in one sentence, and nothing is left") {
  const Folder folder;
  const auto sound = read_file(kept_file("etcd-3.6.snap"));
  auto refusal = [&](const std::string& bytes, ImportOptions options = {}) {
    write_file(folder.file("snap"), bytes);
    const auto message = message_of(import_snapshot(folder.file("snap"), folder.file("store.db"), options));
    CHECK_FALSE(std::filesystem::exists(folder.file("store.db")));
    CHECK_FALSE(std::filesystem::exists(folder.file("store.db.import")));
    CHECK_FALSE(std::filesystem::exists(folder.file("store.db.lock")));
    CHECK(message.find('\n') == std::string::npos);
    return message;
  };
  auto flipped = sound;
  flipped[9000] = static_cast<char>(flipped[9000] ^ 4);
  CHECK(refusal(flipped).find("its SHA-256 is another one") != std::string::npos);
  CHECK(refusal(sound.substr(0, 12'288)).find("--skip-hash-check") != std::string::npos);
  CHECK(refusal(sound.substr(0, sound.size() - 32)).find("no SHA-256") != std::string::npos);
  CHECK(refusal(sound.substr(0, 12'288), {0, true}).find("cut short") != std::string::npos);
  CHECK(refusal("").find("no SHA-256") != std::string::npos);
  CHECK(refusal("", {0, true}).find("is no snapshot of etcd") != std::string::npos);
  CHECK(refusal(with_sum(std::string(4096, 'x'))).find("is no snapshot of etcd") != std::string::npos);
  CHECK(refusal(sound, {std::int64_t{1} << 50, false}).find("--bump-revision") != std::string::npos);
  CHECK(message_of(import_snapshot(folder.file("absent"), folder.file("store.db"), {})).find("cannot open") !=
        std::string::npos);
}

TEST_CASE("a snapshot with authentication, or with changes that cannot be, is refused") {
  const Folder folder;
  auto refusal = [&](const std::string& file) {
    return message_of(import_snapshot(file, folder.file("store.db"), {0, true}));
  };
  CHECK(refusal(made(folder, {}, {{"authEnabled", "\x01"}})).find("etcdctl auth disable") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{"short", "v"}})).find("no revision") != std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({2, 0, false}), "\x0a"}})).find("cannot be decoded") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({3, 0, false}), value_of(2)}})).find("contradicts") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({2, 0, false}), value_of(2, 3)}})).find("contradicts") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({2, 0, false}), value_of(2, 2, 0)}})).find("contradicts") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({1LL << 50, 0, false}), value_of(1LL << 50)}})).find("bounds") !=
        std::string::npos);
  CHECK(refusal(made(folder, {{row_key_bytes({2, 1 << 22, false}), value_of(2)}})).find("bounds") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.file("store.db")));
  CHECK(refusal(made(folder, {{row_key_bytes({2, 0, false}), value_of(2)}})) == "none");
}

TEST_CASE("an import never touches a store that is there") {
  const Folder folder;
  write_file(folder.file("store.db"), "mine");
  auto refused = import_snapshot(kept_file("etcd-3.6.snap"), folder.file("store.db"), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("exists already") != std::string::npos);
  CHECK(read_file(folder.file("store.db")) == "mine");
  std::filesystem::remove(folder.file("store.db"));
  TestStore store(folder.file("store.db"));
  CHECK_FALSE(import_snapshot(kept_file("etcd-3.6.snap"), folder.file("store.db"), {}));
  CHECK(store.put("a", "b") == 2);
}

TEST_CASE("an import that is killed leaves nothing under the store's name, and the next one succeeds") {
  const Folder folder;
  {
    TestStore store(folder.file("big.db"));
    for (int i = 0; i < 20; ++i) {
      storage::TxnRequest many;
      for (int k = 0; k < 2000; ++k)
        many.success.emplace_back(TestStore::put_request(fmt::format("{}/{}", i, k), std::string(200, 'x')));
      store.txn(std::move(many));
    }
  }
  REQUIRE(export_snapshot(folder.file("big.db"), folder.file("snap")));
  int unfinished = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)import_snapshot(folder.file("snap"), folder.file("store.db"), {});
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(10'000 * (attempt + 1)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (!std::filesystem::exists(folder.file("store.db"))) {
      ++unfinished;
      continue;
    }
    TestStore whole(folder.file("store.db"));
    CHECK(whole->key_count() == 40'000);
    break;
  }
  CHECK(unfinished > 0);
  std::filesystem::remove(folder.file("store.db"));
  auto imported = import_snapshot(folder.file("snap"), folder.file("store.db"), {});
  REQUIRE(imported);
  CHECK(imported->keys == 40'000);
  CHECK_FALSE(std::filesystem::exists(folder.file("store.db.import")));
}

TEST_CASE("a million keys are exported and imported in seconds", "[.][slow]") {
  const Folder folder;
  {
    auto loader = storage::sqlite::Loader::create(folder.file("store.db"));
    REQUIRE(loader);
    const std::string value(1024, 'v');
    for (std::int64_t i = 0; i < 1'000'000; ++i) {
      const auto key = fmt::format("/registry/pods/namespace-{}/pod-{}", i * 7919 % 1000, i);
      REQUIRE((*loader)->add({(i + 2) << storage::sqlite::sub_bits, key, value, false, i + 2, 1, 0}));
    }
    REQUIRE((*loader)->finish(1'000'001, 0));
  }
  // Time of the processor, not of a clock: others may be at work.
  auto seconds = [from = std::clock()]() mutable {
    const auto before = std::exchange(from, std::clock());
    return static_cast<double>(from - before) / CLOCKS_PER_SEC;
  };
  REQUIRE(export_snapshot(folder.file("store.db"), folder.file("snap")));
  const double exporting = seconds();
  REQUIRE(import_snapshot(folder.file("snap"), folder.file("again.db"), {}));
  const double importing = seconds();
  WARN("export " << exporting << " s, import " << importing << " s");
#ifdef NDEBUG
  CHECK(exporting < 20);
  CHECK(importing < 30);
#endif
}
