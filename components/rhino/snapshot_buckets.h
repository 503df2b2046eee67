#pragma once
// The buckets of etcd's db, written out of a store.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "rhino/bolt/writer.h"
#include "storage/sqlite/dump.h"

namespace rusternetes::rhino {

using BucketEntries = std::map<std::string, std::string>;

Result<void> write_bucket(bolt::Writer& writer, std::string_view name, const BucketEntries& entries);
// "key"; returns how many rows it has. Of a store at a higher revision than its last row, and with a `mark`
// above that, the last row is a removal of the empty key there (snapshot_file.h says why).
Result<std::int64_t> write_log(bolt::Writer& writer, storage::sqlite::Dump& dump, storage::Revision mark = 0);
Result<void> write_leases(bolt::Writer& writer, storage::sqlite::Dump& dump);

}  // namespace rusternetes::rhino
