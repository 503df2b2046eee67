#include "rhino/snapshot_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <utility>

#include "base/sync.h"
#include "etcd/kv.pb.h"
#include "etcd/lease.pb.h"
#include "etcd/rpc.pb.h"
#include "rhino/bolt/writer.h"
#include "rhino/services.h"
#include "rhino/snapshot_rows.h"
#include "rhino/snapshot_sum.h"
#include "storage/sqlite/dump.h"

namespace rusternetes::rhino {
namespace {

using storage::sqlite::Dump;
using storage::sqlite::LogRow;

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out.append(1, '\\').append(1, c);
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  return out += '"';
}

std::string json_strings(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ",") + json_string(text);
  return "[" + out + "]";
}

// encoding/json of membership.Member.
std::string member_json(const SnapshotIdentity& identity) {
  std::string out =
      fmt::format("{{\"id\":{},\"peerURLs\":{}", identity.member_id, json_strings(identity.peer_urls));
  if (!identity.name.empty()) out += ",\"name\":" + json_string(identity.name);
  if (!identity.client_urls.empty()) out += ",\"clientURLs\":" + json_strings(identity.client_urls);
  return out + "}";
}

using Entries = std::map<std::string, std::string>;

Result<void> write_bucket(bolt::Writer& writer, std::string_view name, const Entries& entries) {
  writer.begin_bucket(name);
  for (const auto& [key, value] : entries) RN_CHECK(writer.put(key, value));
  return writer.end_bucket();
}

Entries meta_entries(const Dump& dump, const SnapshotIdentity& identity) {
  Entries meta{
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

Entries alarm_entries(const SnapshotIdentity& identity) {
  if (!identity.has_nospace_alarm) return {};
  etcdserverpb::AlarmMember alarm;
  alarm.set_memberid(identity.member_id);
  alarm.set_alarm(etcdserverpb::NOSPACE);
  return {{alarm.SerializeAsString(), ""}};
}

// The bucket "key"; returns how many rows it has.
Result<std::int64_t> write_log(bolt::Writer& writer, Dump& dump) {
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
  if (dump.newest_row() < dump.revision() && dump.revision() > 1) {
    ++rows;
    RN_CHECK(writer.put(row_key_bytes({dump.revision(), 0, true}), {}));
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

Result<SnapshotSummary> write_dump(Dump& dump, const SnapshotIdentity& identity, const std::string& path) {
  RN_TRY(auto writer, bolt::Writer::create(path));
  SnapshotSummary summary;
  summary.revision = dump.revision();
  RN_TRY(summary.keys, write_log(*writer, dump));
  RN_CHECK(write_leases(*writer, dump));
  RN_CHECK(write_bucket(*writer, "meta", meta_entries(dump, identity)));
  RN_CHECK(write_bucket(*writer, "alarm", alarm_entries(identity)));
  RN_CHECK(
      write_bucket(*writer, "members", {{fmt::format("{:x}", identity.member_id), member_json(identity)}}));
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
