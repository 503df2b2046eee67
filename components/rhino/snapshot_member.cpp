#include "rhino/snapshot_member.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/sync.h"
#include "rhino/convert.h"
#include "rhino/raft/cluster.h"
#include "rhino/raft/wal.h"
#include "rhino/snapshot_read.h"
#include "storage/blocking.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {
namespace {

namespace fs = std::filesystem;
using memberpb::InternalRaftRequest;
using storage::sqlite::SqliteStore;

struct Applied {
  std::uint64_t index = 0;  // of the last entry that is in the db
  std::size_t members = 0;
};

Result<Applied> applied_of(bolt::Reader& reader) {
  Applied applied;
  RN_CHECK(reader.walk("meta", [&](std::string_view key, std::string_view value) -> Result<void> {
    if (key != "consistent_index") return {};
    if (value.size() != 8) return Status{400, "Damaged", "its consistent_index cannot be read"};
    for (const char c : value) applied.index = applied.index << 8 | static_cast<unsigned char>(c);
    return {};
  }));
  RN_CHECK(reader.walk("members", [&](std::string_view, std::string_view) -> Result<void> {
    ++applied.members;
    return {};
  }));
  return applied;
}

// Whether the entry asks for a change of keys or leases. What cannot be decoded is a request to etcd's store
// of version 2 in its old form.
bool read_change(const memberpb::Entry& entry, InternalRaftRequest& request) {
  if (entry.type() != 0 || entry.data().empty() || !request.ParseFromString(entry.data()) || request.has_v2())
    return false;
  return request.has_put() || request.has_delete_range() || request.has_txn() || request.has_compaction() ||
         request.has_lease_grant() || request.has_lease_revoke();
}

// Does to the store what the request did to etcd. What etcd refused without a change (a lease that is not
// there, a revision that is compacted) is refused here too, and so it stays.
Result<void> apply(SqliteStore& store, InternalRaftRequest& request) {
  Result<void> done;
  if (request.has_compaction()) {
    const auto revision = request.compaction().revision();
    done = storage::blocking_call<void>([&](auto then) { store.compact(revision, std::move(then)); });
  } else if (request.has_lease_grant()) {
    const auto& lease = request.lease_grant();
    auto granted = storage::blocking_call<storage::LeaseInfo>(
        [&](auto then) { store.lease_grant(lease.id(), lease.ttl(), std::move(then)); });
    if (!granted) done = granted.error();
  } else if (request.has_lease_revoke()) {
    const auto id = request.lease_revoke().id();
    done = storage::blocking_call<void>([&](auto then) { store.lease_revoke(id, std::move(then)); });
  } else {
    storage::TxnRequest txn;
    if (request.has_put())
      txn.success.emplace_back(to_store(*request.mutable_put()));
    else if (request.has_delete_range())
      txn.success.emplace_back(to_store(request.delete_range()));
    else
      txn = to_store(*request.mutable_txn());
    auto written = storage::blocking_call<storage::TxnResponse>(
        [&](auto then) { store.txn(std::move(txn), std::move(then)); });
    if (!written) done = written.error();
  }
  return done || done.error().code < 500 ? Result<void>{} : done;
}

void remove_store(const std::string& file) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal", ".lock"}) ::unlink((file + suffix).c_str());
}

// Into a store beside, so that nothing half done ever has the store's name.
Result<ImportSummary> import_and_apply(const std::string& db, std::vector<InternalRaftRequest>& changes,
                                       const std::string& store_file, std::int64_t bump_revision) {
  const std::string fresh = store_file + ".member";
  remove_store(fresh);  // of an attempt that was cut off
  auto made = [&]() -> Result<ImportSummary> {
    RN_TRY(auto summary, import_snapshot(db, fresh, {0, true}));
    {
      storage::sqlite::StoreOptions options;
      options.path = fresh;
      RN_TRY(const auto store, SqliteStore::open(options));
      for (auto& change : changes) RN_CHECK(apply(*store, change));
      summary.snapshot_revision = summary.revision = store->current_revision();
      summary.compact_revision = store->compact_revision();
      summary.keys = static_cast<std::int64_t>(store->key_count());
      RN_TRY(const auto leases, store->leases());
      summary.leases = static_cast<std::int64_t>(leases.size());
    }
    if (bump_revision >= max_revision - summary.revision)
      return Status{400, "BadBump",
                    fmt::format("revisions cannot rise by {} from {}", bump_revision, summary.revision)};
    if (bump_revision > 0) {
      RN_TRY(summary.revision, storage::sqlite::raise_revision(fresh, bump_revision));
      summary.compact_revision = summary.revision;
    }
    // SQLite copies its log into the file as it closes it, and does not say when it could not.
    if (::access((fresh + "-wal").c_str(), F_OK) == 0)
      return internal_error(fmt::format("the store {} could not be written whole", fresh));
    RN_CHECK(sync_file(fresh));
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, store_file.c_str(), RENAME_NOREPLACE) != 0)
      return errno_error(fmt::format("cannot name the store {}", store_file), errno);
    RN_CHECK(sync_folder_of(store_file));
    return summary;
  }();
  remove_store(fresh);
  return made;
}

// What the db has yet to see of the log.
Result<std::vector<InternalRaftRequest>> changes_of(const std::string& folder, const Applied& applied) {
  RN_TRY(const auto tail, raft::read_wal(folder, applied.index));
  std::vector<InternalRaftRequest> changes;
  std::size_t open_ones = 0;
  InternalRaftRequest request;
  for (const auto& entry : tail.entries) {
    if (!read_change(entry, request)) continue;
    if (applied.members > 1 && entry.index() > tail.commit)
      ++open_ones;
    else
      changes.push_back(std::move(request));
  }
  if (open_ones == 0) return changes;
  return Status{
      409, "NotAgreed",
      fmt::format("{} has {} writes of which this member cannot tell whether its cluster agreed on them: "
                  "start the cluster and save a snapshot, or leave them out with --skip-wal",
                  folder, open_ones)};
}

}  // namespace

std::string data_dir_of(const std::string& path) {
  std::error_code error;
  const auto whole = fs::absolute(path, error).lexically_normal();
  if (error || whole.filename() != "db" || whole.parent_path().filename() != "snap") return {};
  const auto member = whole.parent_path().parent_path();
  return member.filename() == "member" && fs::is_directory(member / "wal", error)
             ? member.parent_path().string()
             : std::string();
}

Result<ImportSummary> import_member(const std::string& data_dir, const std::string& store_file,
                                    const ImportOptions& options, bool skips_wal) {
  const std::string db = fs::path(data_dir) / "member/snap/db", wal = fs::path(data_dir) / "member/wal";
  std::vector<InternalRaftRequest> changes;
  // Held open, and so locked, until the end: no etcd starts on it meanwhile.
  RN_TRY(const auto reader, open_snapshot(db, Sum::ignored));
  if (!skips_wal) {
    auto applied = applied_of(*reader);
    if (!applied) return about_snapshot(db, applied.error());
    // The bucket of a 3.4 that was restored still tells of the old cluster.
    RN_TRY(const auto voters, raft::voters_of(fs::path(data_dir) / "member/snap"));
    applied->members = std::max(applied->members, voters);
    RN_TRY(changes, changes_of(wal, *applied));
  }
  if (changes.empty()) return import_snapshot(db, store_file, {options.bump_revision, true});
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(store_file, ignored)))
    return Status{409, "AlreadyExists",
                  fmt::format("{} exists already: choose another folder, or move it away", store_file)};
  return import_and_apply(db, changes, store_file, options.bump_revision);
}

}  // namespace rusternetes::rhino
