#include "rhino/snapshot_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/sync.h"
#include "etcd/rpc.pb.h"
#include "rhino/bolt/writer.h"
#include "rhino/raft/cluster.h"
#include "rhino/services.h"
#include "rhino/snapshot_buckets.h"
#include "rhino/snapshot_rows.h"
#include "rhino/snapshot_sum.h"
#include "storage/sqlite/dump.h"

namespace rusternetes::rhino {
namespace {

using storage::sqlite::Dump;

BucketEntries meta_entries(const Dump& dump, const SnapshotIdentity& identity) {
  BucketEntries meta{
      // A member's index grows with each write at least; a restored one begins anew.
      {"consistent_index", big_endian(static_cast<std::uint64_t>(dump.revision()) + 4)},
      {"term", big_endian(identity.term)},
      {"confState", fmt::format("{{\"voters\":[{}],\"auto_leave\":false}}", identity.member_id)},
      {"storageVersion", etcd_cluster_version}};
  if (dump.compact_revision() > 0) {
    meta["scheduledCompactRev"] = row_key_bytes({dump.compact_revision(), 0, false});
    meta["finishedCompactRev"] = meta["scheduledCompactRev"];
  }
  return meta;
}

BucketEntries alarm_entries(const SnapshotIdentity& identity) {
  if (!identity.has_nospace_alarm) return {};
  etcdserverpb::AlarmMember alarm;
  alarm.set_memberid(identity.member_id);
  alarm.set_alarm(etcdserverpb::NOSPACE);
  return {{alarm.SerializeAsString(), ""}};
}

Result<SnapshotSummary> write_dump(Dump& dump, const SnapshotIdentity& identity, const std::string& path) {
  RN_TRY(auto writer, bolt::Writer::create(path));
  SnapshotSummary summary;
  summary.revision = dump.revision();
  RN_TRY(summary.keys, write_log(*writer, dump));
  RN_CHECK(write_leases(*writer, dump));
  RN_CHECK(write_bucket(*writer, "meta", meta_entries(dump, identity)));
  RN_CHECK(write_bucket(*writer, "alarm", alarm_entries(identity)));
  const raft::ClusterMember member{identity.member_id, identity.name, identity.peer_urls};
  RN_CHECK(write_bucket(*writer, "members",
                        {{fmt::format("{:x}", member.id), raft::member_json(member, identity.client_urls)}}));
  RN_CHECK(write_bucket(*writer, "cluster", {{"clusterVersion", etcd_cluster_version}}));
  RN_CHECK(write_bucket(*writer, "auth", {{"authRevision", big_endian(1)}}));
  for (const char* empty : {"authRoles", "authUsers", "members_removed"})
    RN_CHECK(write_bucket(*writer, empty, {}));
  RN_TRY(summary.size_bytes, writer->finish());
  return summary;
}

// Who the store's own server is; for a store that none served, etcd's usual single member.
Result<SnapshotIdentity> identity_of(Dump& dump) {
  SnapshotIdentity identity;
  RN_TRY(const auto cluster, dump.setting("rhino_cluster_id"));
  RN_TRY(const auto member, dump.setting("rhino_member_id"));
  RN_TRY(const auto term, dump.setting("rhino_term"));
  RN_TRY(const auto alarm, dump.setting("rhino_alarm_1"));
  identity.cluster_id = cluster ? static_cast<std::uint64_t>(cluster) : 0xcdf818194e3a8c32;
  identity.member_id = member ? static_cast<std::uint64_t>(member) : 0x8e9e05c52164694d;
  if (term) identity.term = static_cast<std::uint64_t>(term);
  identity.has_nospace_alarm = alarm != 0;
  identity.name = "default";
  identity.client_urls = {"http://localhost:2379"};
  identity.peer_urls = {"http://localhost:2380"};
  return identity;
}

}  // namespace

Result<SnapshotSummary> write_snapshot(storage::sqlite::SqliteStore& store, const SnapshotIdentity& identity,
                                       const std::string& path) {
  SnapshotSummary summary;
  RN_CHECK(store.dump([&](Dump& dump) -> Result<void> {
    RN_TRY(summary, write_dump(dump, identity, path));
    return {};
  }));
  return summary;
}

Result<SnapshotSummary> export_snapshot(const std::string& store_file, const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    return Status{409, "AlreadyExists",
                  fmt::format("{} exists already: choose another name, or move it away", path)};
  const std::string part = path + ".part";
  ::unlink(part.c_str());  // of an attempt that was cut off
  SnapshotSummary summary;
  auto written = [&]() -> Result<void> {
    RN_CHECK(storage::sqlite::dump_file(store_file, [&](Dump& dump) -> Result<void> {
      RN_TRY(const auto identity, identity_of(dump));
      RN_TRY(summary, write_dump(dump, identity, part));
      return {};
    }));
    RN_CHECK(append_sum(part));
    if (::link(part.c_str(), path.c_str()) != 0)
      return errno_error(fmt::format("cannot make {}", path), errno);
    return {};
  }();
  ::unlink(part.c_str());
  if (!written) return written.error();
  RN_CHECK(sync_folder_of(path));
  return summary;
}

}  // namespace rusternetes::rhino
