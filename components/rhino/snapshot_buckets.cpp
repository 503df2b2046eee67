#include "rhino/snapshot_buckets.h"

#include <utility>
#include <vector>

#include "etcd/kv.pb.h"
#include "etcd/lease.pb.h"
#include "rhino/snapshot_rows.h"

namespace rusternetes::rhino {

using storage::sqlite::Dump;
using storage::sqlite::LogRow;

Result<void> write_bucket(bolt::Writer& writer, std::string_view name, const BucketEntries& entries) {
  writer.begin_bucket(name);
  for (const auto& [key, value] : entries) RN_CHECK(writer.put(key, value));
  return writer.end_bucket();
}

Result<std::int64_t> write_log(bolt::Writer& writer, Dump& dump, storage::Revision mark) {
  std::int64_t rows = 0;
  mvccpb::KeyValue kv;
  std::string value;
  writer.begin_bucket("key");
  RN_CHECK(dump.log([&](const LogRow& row) -> Result<void> {
    to_message(row, kv);
    kv.SerializeToString(&value);
    ++rows;
    return writer.put(row_key_bytes(row_key(row)), value);
  }));
  const auto last = std::max(dump.revision(), mark);
  if (dump.newest_row() < last && last > 1) {
    ++rows;
    RN_CHECK(writer.put(row_key_bytes({last, 0, true}), {}));
  }
  RN_CHECK(writer.end_bucket());
  return rows;
}

Result<void> write_leases(bolt::Writer& writer, Dump& dump) {
  auto put = [&](storage::LeaseId id, std::int64_t ttl_s) {
    leasepb::Lease lease;
    lease.set_id(id);
    lease.set_ttl(ttl_s);
    return writer.put(big_endian(static_cast<std::uint64_t>(id)), lease.SerializeAsString());
  };
  std::vector<std::pair<storage::LeaseId, std::int64_t>> negative;  // their bytes come behind the others'
  writer.begin_bucket("lease");
  RN_CHECK(dump.leases([&](storage::LeaseId id, std::int64_t ttl_s) -> Result<void> {
    if (id >= 0) return put(id, ttl_s);
    negative.emplace_back(id, ttl_s);
    return {};
  }));
  for (const auto& [id, ttl_s] : negative) RN_CHECK(put(id, ttl_s));
  return writer.end_bucket();
}

}  // namespace rusternetes::rhino
