#pragma once
// The data folder of a stopped etcd becomes a store: its db, and what its write-ahead log has beyond that.

#include <string>

#include "rhino/snapshot_import.h"

namespace rusternetes::rhino {

// `data_dir`/member/snap/db and `data_dir`/member/wal. etcd writes its db down every tenth of a second and
// when it stops; if it was killed, the writes since then are in the log alone, and are done again here, as
// etcd does it when it starts. Of several members one alone cannot tell whether the others agreed on the
// newest entries: if there are writes among these, it is refused. With `skips_wal` the db is taken as it is.
Result<ImportSummary> import_member(const std::string& data_dir, const std::string& store_file,
                                    const ImportOptions& options, bool skips_wal);

// Of a path to a member's own member/snap/db, that member's data folder; empty for any other file.
std::string data_dir_of(const std::string& path);

}  // namespace rusternetes::rhino
