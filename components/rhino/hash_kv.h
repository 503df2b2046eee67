#pragma once
// etcd's hash of its keys up to a revision: equal to etcd's own when the same was written
// (server/storage/mvcc/hash.go).

#include <cstdint>

#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {

struct KvHash {
  std::uint32_t hash = 0;
  storage::Revision hash_revision = 0, compact_revision = 0, current_revision = 0;
};

// `revision` 0: now. Errors: Compacted, FutureRevision. Reads the whole log; blocking.
Result<KvHash> hash_kv(storage::sqlite::SqliteStore& store, storage::Revision revision);

}  // namespace rusternetes::rhino
