#include "rhino/hash_kv.h"

#include <set>
#include <string>

#include "etcd/kv.pb.h"
#include "rhino/snapshot_rows.h"
#include "storage/sqlite/dump.h"

namespace rusternetes::rhino {

using storage::Revision;
using storage::sqlite::LogRow;
using storage::sqlite::revision_of;

Result<KvHash> hash_kv(storage::sqlite::SqliteStore& store, Revision revision) {
  KvHash out;
  Crc32c crc;
  auto add_bytes = [&](std::string_view bytes) { crc.process_bytes(bytes.data(), bytes.size()); };
  add_bytes("key");
  auto hash = [&](storage::sqlite::Dump& dump) -> Result<void> {
    out.compact_revision = dump.compact_revision() > 0 ? dump.compact_revision() : -1;
    out.current_revision = dump.revision();
    if (revision > 0 && revision < out.compact_revision) return Status{410, storage::reason_compacted, ""};
    if (revision > out.current_revision) return Status{400, storage::reason_future_revision, ""};
    out.hash_revision = revision ? revision : out.current_revision;  // nothing is as old as a negative one
    // Of what stood before the compaction only what still stands at the revision counts; all of it if nothing
    // stands.
    std::set<std::string, std::less<>> changed;
    std::int64_t live = 0;
    auto look = [&](const LogRow& row) -> Result<void> {
      const Revision at = revision_of(row.id);
      if (at > out.hash_revision) return {};
      if (at <= out.compact_revision) {
        live += row.is_removal ? 0 : 1;
      } else {
        live += row.is_removal ? -1 : row.create_revision == at ? 1 : 0;
        changed.emplace(row.key);
      }
      return {};
    };
    RN_CHECK(dump.log(look));
    mvccpb::KeyValue kv;
    std::string bytes;
    auto add = [&](const LogRow& row) -> Result<void> {
      const Revision at = revision_of(row.id);
      if (at > out.hash_revision) return {};
      if (at <= out.compact_revision && (row.is_removal || (live > 0 && changed.contains(row.key))))
        return {};
      to_message(row, kv);
      kv.SerializeToString(&bytes);
      add_bytes(row_key_bytes(row_key(row)));
      add_bytes(bytes);
      return {};
    };
    return dump.log(add);
  };
  RN_CHECK(store.dump(hash));
  out.hash = crc.checksum();
  return out;
}

}  // namespace rusternetes::rhino
