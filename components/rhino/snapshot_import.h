#pragma once
// A snapshot of etcd (3.4 to 3.6) or of ours becomes a store.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "storage/store.h"

namespace rusternetes::rhino {

// Raised by ten to the ninth a thousand times it still fits the store's row ids.
inline constexpr storage::Revision max_revision = std::int64_t{1} << 40;

struct ImportOptions {
  // By how much revisions rise; every older one then counts as compacted, so that all who watched the cluster
  // list it anew. 0: the history is taken over as it is.
  std::int64_t bump_revision = 1'000'000'000;
  // For files without a SHA-256 at their end, such as a member's member/snap/db.
  bool skips_hash_check = false;
};

struct ImportSummary {
  storage::Revision snapshot_revision = 0, revision = 0;
  storage::Revision compact_revision = 0;  // of the new store; not positive: never compacted
  std::int64_t keys = 0, leases = 0;       // live ones
};

// Makes the store `store_file`, which must not exist ("AlreadyExists"); it comes to be only when all of it is
// on disk. Alarms and members are not taken over, and a lease begins anew with the time it was granted. A
// snapshot that is damaged, has authentication enabled or is none is refused in one sentence that says what
// to do.
Result<ImportSummary> import_snapshot(const std::string& snapshot, const std::string& store_file,
                                      const ImportOptions& options);

}  // namespace rusternetes::rhino
