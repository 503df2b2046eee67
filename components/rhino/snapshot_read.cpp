#include "rhino/snapshot_read.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "etcd/kv.pb.h"
#include "rhino/snapshot_rows.h"
#include "rhino/snapshot_sum.h"
#include "storage/sqlite/key_index.h"

namespace rusternetes::rhino {
namespace {

Status refused(std::string message) { return Status{400, "NotASnapshot", std::move(message)}; }

Result<void> check_sum(int fd, std::uint64_t size, const std::string& path, Sum sum) {
  if (sum == Sum::ignored || (sum == Sum::checked_if_there && !has_sum(size))) return {};
  if (!has_sum(size))
    return refused(fmt::format(
        "{} has no SHA-256 at its end: if it was cut short, save or copy the snapshot again; if it is "
        "the db file of a member, use --skip-hash-check",
        path));
  auto is_right = is_sum_right(fd, size);
  if (!is_right) return about_snapshot(path, is_right.error());
  if (!*is_right)
    return refused(
        fmt::format("{} is damaged (its SHA-256 is another one): save or copy the snapshot again", path));
  return {};
}

}  // namespace

Status about_snapshot(const std::string& path, const Status& status) {
  if (status.is("Damaged"))
    return refused(fmt::format("{} is damaged ({}): save or copy the snapshot again", path, status.message));
  if (status.is("NotBolt"))
    return refused(
        fmt::format("{} is no snapshot of etcd: name a file that `etcdctl snapshot save` has made", path));
  return Status{status.code, status.reason, fmt::format("{}: {}", path, status.message), status.details};
}

Result<std::unique_ptr<bolt::Reader>> open_snapshot(const std::string& path, Sum sum) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno_error(fmt::format("cannot open {}", path), errno);
  struct stat info {};
  auto looked_at = [&]() -> Result<void> {
    if (::fstat(fd, &info) != 0) return errno_error(fmt::format("cannot look at {}", path), errno);
    if (!S_ISREG(info.st_mode)) return about_snapshot(path, Status{400, "NotBolt", ""});
    // etcd holds its own db file locked.
    if (::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      return Status{409, "InUse", fmt::format("{} is in use by a running etcd: ask that for a snapshot with "
                                              "`etcdctl snapshot save`", path)};
    return check_sum(fd, static_cast<std::uint64_t>(info.st_size), path, sum);
  }();
  if (!looked_at) {
    ::close(fd);
    return looked_at.error();
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  auto reader = bolt::Reader::open(fd, has_sum(size) ? size - sum_bytes : size);
  if (!reader) return about_snapshot(path, reader.error());
  if (!(*reader)->has("key") || !(*reader)->has("meta"))
    return refused(fmt::format("{} is no snapshot of etcd, though of its file format: it has no keys", path));
  return reader;
}

Result<SnapshotStatus> snapshot_status(const std::string& path) {
  RN_TRY(const auto reader, open_snapshot(path, Sum::checked_if_there));
  SnapshotStatus status;
  status.total_size_bytes = reader->size_bytes();
  Crc32c crc;
  storage::sqlite::KeyIndex live;
  mvccpb::KeyValue kv;
  for (const auto& [name, _] : reader->buckets()) {
    crc.process_bytes(name.data(), name.size());
    auto walked = reader->walk(name, [&](std::string_view key, std::string_view value) -> Result<void> {
      crc.process_bytes(key.data(), key.size());
      crc.process_bytes(value.data(), value.size());
      if (name == "meta" && key == "storageVersion") status.version = value;
      if (name != "key") return {};
      RN_TRY(const auto row, parse_row_key(key));
      if (!kv.ParseFromArray(value.data(), static_cast<int>(value.size())))
        return Status{400, "Damaged",
                      fmt::format("the change at revision {} cannot be decoded", row.revision)};
      status.revision = row.revision;
      if (row.is_removal)
        live.erase(kv.key());
      else
        live.put(kv.key(), {});
      return {};
    });
    if (!walked) return about_snapshot(path, walked.error());
  }
  status.hash = crc.checksum();
  status.total_keys = static_cast<std::int64_t>(live.size());
  return status;
}

Result<std::map<std::string, std::string>> newest_values(const std::string& path,
                                                         const std::vector<std::string>& prefixes) {
  RN_TRY(const auto reader, open_snapshot(path, Sum::required));
  std::map<std::string, std::string> found;
  mvccpb::KeyValue kv;
  auto walked = reader->walk("key", [&](std::string_view key, std::string_view value) -> Result<void> {
    RN_TRY(const auto row, parse_row_key(key));
    if (!kv.ParseFromArray(value.data(), static_cast<int>(value.size())))
      return Status{400, "Damaged", fmt::format("the change at revision {} cannot be decoded", row.revision)};
    const bool is_meant = std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) {
      return kv.key().starts_with(prefix);
    });
    if (!is_meant) return {};
    if (row.is_removal)
      found.erase(kv.key());
    else
      found[kv.key()] = kv.value();
    return {};
  });
  if (!walked) return about_snapshot(path, walked.error());
  return found;
}

}  // namespace rusternetes::rhino
