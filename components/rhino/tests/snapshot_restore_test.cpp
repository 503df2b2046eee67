// `rhino snapshot restore`: what it refuses, and what the real etcd makes of the rest.

#include "rhino/snapshot_restore.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <set>

#include "rhino/raft/cluster.h"
#include "rhino/snapshot_file.h"
#include "rhino/snapshot_import.h"
#include "snapshot_command_harness.h"
#include "snapshot_history.h"
#include "snapshot_peers.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

std::vector<std::string> programs() {
  std::vector<std::string> found;
  for (const char* name : {"etcd", "etcd-3.4"})
    if (has_peers() && ::access(peer(name).c_str(), X_OK) == 0) found.push_back(name);
  if (found.size() < 2) WARN("skipped in part: $PEERS lacks etcd, etcdctl, etcdutl or etcd-3.4");
  return found;
}

std::string message_of(const Result<RestoreSummary>& restored) {
  return restored ? "none" : restored.error().message;
}

// Everything that a reader sees now, without revisions of answers.
std::string keys_of(const Etcd& etcd) {
  const auto json = etcd.ctl({"get", "--from-key", std::string(1, '\1'), "-w", "json"});
  return json.substr(json.find("\"kvs\""));
}

// What etcdctl says and that it fails, of a watch from a revision.
std::string watch_from(const Etcd& etcd, std::int64_t revision) {
  const std::string line =
      fmt::format("timeout 10 '{}' --endpoints={} watch --prefix '' --rev={} 2>&1 </dev/null",
                  peer("etcdctl"), etcd.url(), revision);
  FILE* pipe = ::popen(line.c_str(), "r");
  std::string out;
  char buffer[4096];
  while (const auto got = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  ::pclose(pipe);
  return out;
}

void fill_etcd(const Etcd& etcd) {
  for (int i = 0; i < 30; ++i)
    etcd.ctl({"put", fmt::format("key/{:02}", i), std::string(static_cast<std::size_t>(i) * 100, 'v')});
  etcd.ctl({"put", "key/03", "again"});
  etcd.ctl({"del", "key/04", "key/07"});
  const auto lease = etcd.ctl({"lease", "grant", "5000"}).substr(6, 16);
  etcd.ctl({"put", "leased", "1", "--lease=" + lease});
  etcd.ctl({"compaction", "10"});
}

RestoreOptions raised_into(const std::string& data_dir) {
  RestoreOptions options;
  options.data_dir = data_dir;
  options.bump_revision = 1'000'000'000;
  options.marks_compacted = true;
  return options;
}

// What holds for a restored etcd, whichever made it and of what: it has the keys, is raised, older revisions
// are compacted, and it goes on.
void check_restored(const std::string& program, const std::string& data_dir, const std::string& keys,
                    std::int64_t revision) {
  INFO(program << " on " << data_dir);
  std::string later;
  {
    Etcd etcd(data_dir, program);
    CHECK(etcd.revision() == revision);
    CHECK(keys_of(etcd) == keys);
    CHECK(etcd.range(revision - 1) == "refused");
    CHECK(watch_from(etcd, 5).find("required revision has been compacted") != std::string::npos);
    CHECK(etcd.ctl({"lease", "list"}).find("found 1 leases") != std::string::npos);
    const auto members = etcd.ctl({"member", "list"});
    CHECK(members.find("8e9e05c52164694d, started, default, http://localhost:2380") == 0);
    etcd.ctl({"put", "key/01", "after"});
    etcd.ctl({"put", "new", "1"});
    CHECK(etcd.revision() == revision + 2);
    etcd.ctl({"compaction", std::to_string(revision + 1), "--physical"});
    later = keys_of(etcd);
  }
  Etcd again(data_dir, program);
  CHECK(again.revision() == revision + 2);
  CHECK(keys_of(again) == later);
  again.ctl({"put", "new", "2"});
}

}  // namespace

TEST_CASE("members and clusters get the ids that etcd gives them") {
  const auto one = raft::Cluster::make({{"default", {"http://localhost:2380"}}}, "etcd-cluster");
  CHECK(one.members.at(0).id == 0x8e9e05c52164694d);
  CHECK(one.id == 0xcdf818194e3a8c32);
}

TEST_CASE("a restore names what does not fit together, and leaves nothing") {
  const Folder folder;
  const auto snapshot = kept_file("etcd-3.6.snap");
  auto refusal = [&](std::vector<std::string> more, const std::string& file) {
    std::vector<std::string> words{"snapshot", "restore", file, "--data-dir", folder.file("new/data")};
    words.insert(words.end(), more.begin(), more.end());
    const auto done = command(words);
    CHECK(done.code == 1);
    CHECK(std::count(done.err.begin(), done.err.end(), '\n') == 1);
    CHECK_FALSE(std::filesystem::exists(folder.file("new/data")));
    return done.err;
  };
  CHECK(refusal({"--bump-revision", "5"}, snapshot).find("--mark-compacted is required") !=
        std::string::npos);
  CHECK(refusal({"--mark-compacted"}, snapshot).find("disallowed") != std::string::npos);
  CHECK(refusal({"--bump-revision", "1125899906842624", "--mark-compacted"}, snapshot)
            .find("choose a --bump-revision") != std::string::npos);
  CHECK(refusal({"--name", "b", "--initial-cluster", "a=http://127.0.0.1:1"}, snapshot)
            .find("couldn't find local name") != std::string::npos);
  CHECK(refusal({"--name", "a", "--initial-cluster", "a=http://127.0.0.1:1,b=http://127.0.0.1:1",
                 "--initial-advertise-peer-urls", "http://127.0.0.1:1"},
                snapshot)
            .find("duplicate url") != std::string::npos);
  CHECK(refusal({"--name", "a", "--initial-cluster", "a=http://127.0.0.1:2"}, snapshot)
            .find("--initial-advertise-peer-urls") != std::string::npos);
  CHECK(refusal({"--initial-advertise-peer-urls", "127.0.0.1:1"}, snapshot).find("peer-urls") !=
        std::string::npos);

  const auto sound = read_file(snapshot);
  auto flipped = sound;
  flipped[9000] = static_cast<char>(flipped[9000] ^ 4);
  write_file(folder.file("flipped"), flipped);
  write_file(folder.file("cut"), sound.substr(0, 12'288));
  write_file(folder.file("other"), "no snapshot");
  CHECK(refusal({}, folder.file("flipped")).find("its SHA-256 is another one") != std::string::npos);
  CHECK(refusal({}, folder.file("cut")).find("no SHA-256") != std::string::npos);
  CHECK(refusal({"--skip-hash-check"}, folder.file("cut")).find("cut short") != std::string::npos);
  CHECK(refusal({"--skip-hash-check"}, folder.file("other")).find("is no snapshot") != std::string::npos);
  CHECK(refusal({}, folder.file("absent")).find("cannot open") != std::string::npos);
  {
    TestStore store(folder.file("store.db"));
    fill(store);
    CHECK(refusal({}, folder.file("store.db")).find("in use") != std::string::npos);
  }
  write_file(folder.file("half.db"), read_file(folder.file("store.db")).substr(0, 5000));
  refusal({}, folder.file("half.db"));

  std::filesystem::create_directory(folder.file("mine"));
  write_file(folder.file("mine/file"), "x");
  RestoreOptions options;
  options.data_dir = folder.file("mine");
  CHECK(message_of(restore_snapshot(snapshot, options)).find("not empty") != std::string::npos);
  CHECK(read_file(folder.file("mine/file")) == "x");
  // An empty one is taken, also with what a killed attempt left in it.
  std::filesystem::remove(folder.file("mine/file"));
  std::filesystem::create_directories(folder.file("mine/member.part/snap"));
  REQUIRE(restore_snapshot(snapshot, options));
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.file("mine"))) {
    struct stat info {};
    REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0077) == 0);
    files.insert(std::filesystem::relative(entry.path(), folder.file("mine")));
  }
  CHECK(files == std::set<std::string>{"member", "member/snap", "member/snap/db",
                                       "member/snap/0000000000000001-0000000000000001.snap", "member/wal",
                                       "member/wal/0000000000000000-0000000000000000.wal"});
}

TEST_CASE("a restored member's log is etcdutl's own, byte for byte", "[peers]") {
  if (!has_peers()) {
    WARN("skipped: no etcdutl in $PEERS (scripts/peers builds it)");
    return;
  }
  const Folder folder;
  const auto snapshot = kept_file("etcd-3.6.snap");
  RestoreOptions options;
  options.data_dir = folder.file("ours");
  options.name = "b";
  options.initial_cluster = "a=http://127.0.0.1:1,b=http://127.0.0.1:2,c=http://127.0.0.1:3,b=unix://x:4";
  options.initial_advertise_peer_urls = "unix://x:4,http://127.0.0.1:2";
  options.initial_cluster_token = "t";
  REQUIRE(restore_snapshot(snapshot, options));
  run_peer("etcdutl",
           {"snapshot", "restore", snapshot, "--data-dir", folder.file("theirs"), "--name", options.name,
            "--initial-cluster", options.initial_cluster, "--initial-advertise-peer-urls",
            options.initial_advertise_peer_urls, "--initial-cluster-token", "t"});
  auto wal = [&](const char* whose) {
    return read_file(folder.file(std::string(whose) + "/member/wal/0000000000000000-0000000000000000.wal"));
  };
  CHECK(wal("ours") == wal("theirs"));
  CHECK(*raft::voters_of(folder.file("theirs/member/snap")) == 3);
  CHECK(*raft::voters_of(folder.file("ours/member/snap")) == 3);
}

TEST_CASE("etcd starts on what is restored from its snapshot, from a store, and from one that was raised",
          "[peers]") {
  for (const auto& saved_by : programs()) {
    const Folder folder;
    std::string keys;
    std::int64_t revision = 0;
    {
      Etcd etcd(folder.file("old"), saved_by);
      fill_etcd(etcd);
      keys = keys_of(etcd);
      revision = etcd.revision();
      etcd.ctl({"snapshot", "save", folder.file("snap")});
    }
    REQUIRE(import_snapshot(folder.file("snap"), folder.file("store.db"), {0, false}));
    REQUIRE(import_snapshot(folder.file("snap"), folder.file("raised.db"), {}));
    for (const auto& program : programs()) {
      INFO("saved by " << saved_by);
      for (const char* file : {"snap", "store.db"}) {
        const auto data_dir = folder.file(program + "-" + file);
        auto restored = restore_snapshot(folder.file(file), raised_into(data_dir));
        INFO(message_of(restored));
        REQUIRE(restored);
        CHECK(restored->revision == revision + 1'000'000'000);
        check_restored(program, data_dir, keys, restored->revision);
      }
      RestoreOptions options;
      options.data_dir = folder.file(program + "-raised");
      auto restored = restore_snapshot(folder.file("raised.db"), options);
      REQUIRE(restored);
      check_restored(program, options.data_dir, keys, revision + 1'000'000'000);
      // Without a rise the history is still there.
      options.data_dir = folder.file(program + "-plain");
      REQUIRE(restore_snapshot(folder.file("snap"), options));
      Etcd plain(options.data_dir, program);
      CHECK(plain.revision() == revision);
      CHECK(keys_of(plain) == keys);
      CHECK(plain.range(12).find("kvs") != std::string::npos);
      CHECK(plain.range(9) == "refused");
    }
  }
}

TEST_CASE("three members restored from one file are one cluster", "[peers]") {
  for (const auto& program : programs()) {
    INFO(program);
    const Folder folder;
    {
      TestStore store(folder.file("store.db"));
      fill(store);
      store.grant(77, 3600);
      store.put("leased", "v", 77);
    }
    std::vector<std::string> urls;
    std::string cluster;
    for (int i = 1; i <= 3; ++i) {
      urls.push_back(fmt::format("http://127.0.0.1:{}", free_ports().first));
      cluster += fmt::format("{}etcd-{}={}", i > 1 ? "," : "", i, urls.back());
    }
    auto data_dir = [&](int i) { return folder.file(fmt::format("etcd-{}", i)); };
    for (int i = 1; i <= 3; ++i) {
      const auto restored =
          command({"snapshot", "restore", folder.file("store.db"), "--name", fmt::format("etcd-{}", i),
                   "--data-dir", data_dir(i), "--initial-cluster", cluster, "--initial-advertise-peer-urls",
                   urls[static_cast<std::size_t>(i) - 1], "--initial-cluster-token", "mine",
                   "--bump-revision", "1000000000", "--mark-compacted"});
      INFO(restored.err);
      REQUIRE(restored.code == 0);
      CHECK(restored.out.find("at revision 1000000008: member ") != std::string::npos);
    }
    std::string keys;
    for (const bool is_restart : {false, true}) {
      std::vector<std::unique_ptr<Etcd>> all;
      for (int i = 1; i <= 3; ++i) {
        const auto& url = urls[static_cast<std::size_t>(i) - 1];
        all.push_back(std::make_unique<Etcd>(
            data_dir(i), program,
            std::vector<std::string>{fmt::format("--name=etcd-{}", i), "--listen-peer-urls=" + url,
                                     "--initial-advertise-peer-urls=" + url, "--initial-cluster=" + cluster},
            false));
      }
      for (auto& etcd : all) etcd->wait_until_healthy();
      if (!is_restart) {
        CHECK(all[0]->revision() == 1'000'000'008);
        CHECK(watch_from(*all[1], 3).find("has been compacted") != std::string::npos);
        CHECK(all[2]->ctl({"get", "a", "--print-value-only"}) == "3\n");
        all[0]->ctl({"put", "b", "from 1"});
        all[1]->ctl({"put", "c", "from 2"});
        all[2]->ctl({"put", "d", "from 3"});
        keys = keys_of(*all[0]);
      }
      for (auto& etcd : all) {
        CHECK(keys_of(*etcd) == keys);
        const auto members = etcd->ctl({"member", "list"});
        for (int i = 1; i <= 3; ++i)
          CHECK(members.find(fmt::format("started, etcd-{}, {}", i, urls[static_cast<std::size_t>(i) - 1])) !=
                std::string::npos);
        // The same history on each: etcd's own hash of it.
        CHECK(etcd->ctl({"endpoint", "hashkv", "--rev=1000000011", "-w", "json"}).find("\"hash\"") !=
              std::string::npos);
      }
    }
  }
}
