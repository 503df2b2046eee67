#include "rhino/snapshot_restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "base/sync.h"
#include "certs/file.h"
#include "etcd/kv.pb.h"
#include "rhino/flags.h"
#include "rhino/raft/cluster.h"
#include "rhino/snapshot_buckets.h"
#include "rhino/snapshot_import.h"
#include "rhino/snapshot_read.h"
#include "rhino/snapshot_rows.h"

namespace rusternetes::rhino {
namespace {

namespace fs = std::filesystem;
using storage::Revision;

constexpr std::string_view sqlite_magic{"SQLite format 3\0", 16};
constexpr const char* fresh = "member.part";  // until it is `member`

Status refused(std::string message) { return Status{400, "BadRequest", std::move(message)}; }

Result<raft::Cluster> cluster_of(RestoreOptions& options) {
  const auto advertised = parse_urls(options.initial_advertise_peer_urls);
  if (!advertised.error.empty()) return refused("--initial-advertise-peer-urls: " + advertised.error);
  if (options.initial_cluster.empty()) {
    std::vector<std::string> own;
    for (const auto& url : texts(advertised.urls)) own.push_back(options.name + "=" + url);
    options.initial_cluster = join(own, ",");
  }
  std::map<std::string, std::vector<std::string>> peers;
  std::set<std::string> all;
  for (const auto& [name, urls] : members_of(options.initial_cluster)) {
    const auto parsed = parse_urls(join(urls, ","));
    if (!parsed.error.empty()) return refused("--initial-cluster: " + parsed.error);
    peers[name] = texts(parsed.urls);
    for (const auto& url : peers[name])
      if (!all.insert(url).second)
        return refused(fmt::format("initial cluster {} has duplicate url", options.initial_cluster));
  }
  Flags flags;
  flags.name = options.name;
  flags.initial_cluster = options.initial_cluster;
  flags.initial_cluster_state = "new";
  flags.advertise_peer_urls = advertised.urls;
  RN_CHECK(check_initial_cluster(flags));
  return raft::Cluster::make(peers, options.initial_cluster_token);
}

// The revision of the restored db, raised from that of the file.
Result<Revision> raised(Revision from, const RestoreOptions& options) {
  if (options.bump_revision >= max_revision - from)
    return refused(
        fmt::format("revisions cannot rise by {} from {}: choose a --bump-revision between 0 and {}",
                    options.bump_revision, from, max_revision - from - 1));
  return from + options.bump_revision;
}

// What says where this member stands in its new cluster. Without a storageVersion it is as 3.4 and 3.5 have
// it, and 3.6 adds its own.
void add_raft_entries(const raft::Cluster& cluster, BucketEntries& meta) {
  meta["consistent_index"] = big_endian(raft::first_index(cluster));
  meta["term"] = big_endian(raft::first_term);
  std::string voters;
  for (const auto id : cluster.ids()) voters += fmt::format("{}{}", voters.empty() ? "" : ",", id);
  meta["confState"] = fmt::format(R"({{"voters":[{}],"auto_leave":false}})", voters);
}

Result<void> write_members(bolt::Writer& writer, const raft::Cluster& cluster) {
  BucketEntries members;
  for (const auto& member : cluster.members)
    members[fmt::format("{:x}", member.id)] = raft::member_json(member);
  RN_CHECK(write_bucket(writer, "members", members));
  // The cluster's version is what its members agree on when they have started.
  for (const char* empty : {"members_removed", "cluster", "alarm"}) RN_CHECK(write_bucket(writer, empty, {}));
  return {};
}

Result<Revision> write_from_store(const std::string& file, const raft::Cluster& cluster,
                                  const RestoreOptions& options, bolt::Writer& writer) {
  Revision revision = 0;
  RN_CHECK(storage::sqlite::dump_file(file, [&](storage::sqlite::Dump& dump) -> Result<void> {
    RN_TRY(revision, raised(dump.revision(), options));
    RN_CHECK(write_log(writer, dump, revision));
    RN_CHECK(write_leases(writer, dump));
    BucketEntries meta;
    const auto scheduled = options.marks_compacted ? revision : dump.compact_revision();
    if (scheduled > 0) meta["scheduledCompactRev"] = row_key_bytes({scheduled, 0, false});
    if (dump.compact_revision() > 0)
      meta["finishedCompactRev"] = row_key_bytes({dump.compact_revision(), 0, false});
    add_raft_entries(cluster, meta);
    RN_CHECK(write_bucket(writer, "meta", meta));
    RN_CHECK(write_bucket(writer, "auth", {{"authRevision", big_endian(1)}}));
    for (const char* empty : {"authRoles", "authUsers"}) RN_CHECK(write_bucket(writer, empty, {}));
    return {};
  }));
  return revision;
}

// The bucket "key" with, if revisions rise, a removal of the empty key at its end, as snapshot_file.h says.
Result<Revision> copy_log(bolt::Reader& reader, Revision compacted, const RestoreOptions& options,
                          bolt::Writer& writer) {
  Revision newest = 1;
  mvccpb::KeyValue kv;
  writer.begin_bucket("key");
  RN_CHECK(reader.walk("key", [&](std::string_view key, std::string_view value) -> Result<void> {
    RN_TRY(const auto at, parse_row_key(key));
    if (value.size() > std::numeric_limits<int>::max() ||
        !kv.ParseFromArray(value.data(), static_cast<int>(value.size())))
      return Status{400, "Damaged", fmt::format("the change at revision {} cannot be decoded", at.revision)};
    newest = std::max(newest, at.revision);
    return writer.put(key, value);
  }));
  RN_TRY(const auto revision, raised(std::max(newest, compacted), options));
  if (revision > newest) RN_CHECK(writer.put(row_key_bytes({revision, 0, true}), {}));
  RN_CHECK(writer.end_bucket());
  return revision;
}

Result<Revision> write_from_snapshot(bolt::Reader& reader, const raft::Cluster& cluster,
                                     const RestoreOptions& options, bolt::Writer& writer) {
  BucketEntries meta;
  Revision compacted = 0;
  RN_CHECK(reader.walk("meta", [&](std::string_view key, std::string_view value) -> Result<void> {
    if (key != "scheduledCompactRev" && key != "finishedCompactRev") return {};
    RN_TRY(const auto at, parse_row_key(value));
    compacted = std::max(compacted, at.revision);
    meta.emplace(key, value);
    return {};
  }));
  RN_TRY(const auto revision, copy_log(reader, compacted, options, writer));
  if (options.marks_compacted) meta["scheduledCompactRev"] = row_key_bytes({revision, 0, false});
  add_raft_entries(cluster, meta);
  RN_CHECK(write_bucket(writer, "meta", meta));
  // Leases, users and roles, and whatever a later release has.
  static const std::set<std::string> own{"key", "meta", "members", "members_removed", "cluster", "alarm"};
  for (const auto& [name, _] : reader.buckets()) {
    if (own.contains(name)) continue;
    writer.begin_bucket(name);
    RN_CHECK(reader.walk(
        name, [&](std::string_view key, std::string_view value) { return writer.put(key, value); }));
    RN_CHECK(writer.end_bucket());
  }
  return revision;
}

Result<bool> is_sqlite(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return errno_error(fmt::format("cannot open {}", file), errno);
  std::string head(sqlite_magic.size(), '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head == sqlite_magic;
}

Result<Revision> write_db(const std::string& file, const raft::Cluster& cluster,
                          const RestoreOptions& options, const std::string& path) {
  RN_TRY(const bool is_store, is_sqlite(file));
  std::unique_ptr<bolt::Reader> reader;
  if (!is_store) {
    RN_TRY(reader, open_snapshot(file, options.skips_hash_check ? Sum::ignored : Sum::required));
  }
  RN_TRY(auto writer, bolt::Writer::create(path));
  auto written = [&]() -> Result<Revision> {
    if (is_store) return write_from_store(file, cluster, options, *writer);
    auto copied = write_from_snapshot(*reader, cluster, options, *writer);
    return copied ? copied : about_snapshot(file, copied.error());
  }();
  if (!written) return written.error();
  RN_CHECK(write_members(*writer, cluster));
  RN_CHECK(writer->finish());
  return written;
}

// Makes the folder if it is missing; true: it is ours to be removed.
Result<bool> claim(const std::string& data_dir) {
  std::error_code error;
  const bool is_new = !fs::exists(data_dir, error);
  RN_CHECK(certs::make_folder(data_dir, 0700));
  fs::remove_all(fs::path(data_dir) / fresh, error);  // of an attempt that was cut off
  const bool is_empty = !error && fs::is_empty(data_dir, error) && !error;
  if (!is_empty)
    return Status{
        409, "AlreadyExists",
        fmt::format("data-dir \"{}\" not empty or could not be read: choose another, or move it away",
                    data_dir)};
  return is_new;
}

Result<Revision> write_member(const std::string& file, const raft::Cluster& cluster,
                              const RestoreOptions& options) {
  const std::string folder = options.data_dir + "/" + fresh;
  RN_CHECK(certs::make_folder(folder + "/snap", 0700));
  RN_CHECK(certs::make_folder(folder + "/wal", 0700));
  ::chmod(folder.c_str(), 0700);
  RN_TRY(const auto revision, write_db(file, cluster, options, folder + "/snap/db"));
  RN_CHECK(raft::write_raft_files(cluster, *cluster.find(options.name), folder));
  for (const char* name : {"/snap/db", "/wal/x", "/wal"}) RN_CHECK(sync_folder_of(folder + name));
  const std::string member = options.data_dir + "/member";
  if (::rename(folder.c_str(), member.c_str()) != 0)
    return errno_error(fmt::format("cannot make {}", member), errno);
  RN_CHECK(sync_folder_of(member));
  return revision;
}

}  // namespace

Result<RestoreSummary> restore_snapshot(const std::string& file, RestoreOptions options) {
  if (options.data_dir.empty()) options.data_dir = options.name + ".etcd";
  if (options.bump_revision < 0) return refused("--bump-revision cannot be negative");
  if (options.marks_compacted != (options.bump_revision > 0))
    return refused("--mark-compacted is required with a --bump-revision above 0, and disallowed without one");
  RN_TRY(const auto cluster, cluster_of(options));
  RN_TRY(const bool is_new, claim(options.data_dir));
  auto revision = write_member(file, cluster, options);
  if (!revision) {
    std::error_code ignored;
    fs::remove_all(fs::path(options.data_dir) / fresh, ignored);
    if (is_new) fs::remove(options.data_dir, ignored);
    return revision.error();
  }
  return RestoreSummary{*revision, cluster.id, cluster.find(options.name)->id, cluster.members.size(),
                        options.data_dir};
}

}  // namespace rusternetes::rhino
