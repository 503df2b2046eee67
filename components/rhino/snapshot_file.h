#pragma once
// A store as etcd's own file (bbolt), and back: what `etcdctl snapshot save` yields and `etcdutl snapshot
// restore` takes.
//
// The file has every bucket that a single member of etcd 3.6 has, and of the changes those that etcd keeps
// after its compaction at the store's compact revision. A store whose revision was raised above its newest
// change (raise_revision, an import) is written with a removal of the empty key at that revision: every etcd
// takes its revision from the last row, none shows an empty key, and the next compaction drops it. `etcdutl
// snapshot restore --bump-revision` does likewise.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {

struct SnapshotIdentity {
  std::uint64_t cluster_id = 0, member_id = 0;
  std::string name;
  std::vector<std::string> client_urls, peer_urls;
  bool has_nospace_alarm = false;
  std::uint64_t term = 2;
};

struct SnapshotSummary {
  storage::Revision revision = 0;
  std::int64_t keys = 0;        // revisions of keys in the file, tombstones too
  std::int64_t size_bytes = 0;  // without the checksum at the end
};

// Writes `path` (which must not exist, mode 0600) as a bbolt database at one revision, without the SHA-256
// that follows it in a saved snapshot. Blocking; the store goes on meanwhile.
Result<SnapshotSummary> write_snapshot(storage::sqlite::SqliteStore& store, const SnapshotIdentity& identity,
                                       const std::string& path);

// Of a store that no process has open ("InUse"): the snapshot as it is saved, with the SHA-256 at its end.
// `path` must not exist, and comes to be only when all of it is on disk.
Result<SnapshotSummary> export_snapshot(const std::string& store_file, const std::string& path);

}  // namespace rusternetes::rhino
