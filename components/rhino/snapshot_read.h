#pragma once
// Saved snapshots, of any etcd v3 or of ours, as they are read. Every error is one sentence that names the
// file and says what to do.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "rhino/bolt/reader.h"

namespace rusternetes::rhino {

enum class Sum { required, checked_if_there, ignored };

// A snapshot, or the db file of a member that is stopped, with the SHA-256 at its end looked at as `sum`
// says.
Result<std::unique_ptr<bolt::Reader>> open_snapshot(const std::string& path, Sum sum);
// What a Status of the reader, or of what it shows, means for the file.
Status about_snapshot(const std::string& path, const Status& status);

// What `etcdutl snapshot status` tells.
struct SnapshotStatus {
  std::uint32_t hash = 0;  // CRC-32C of all buckets' names and entries
  std::int64_t revision = 0;
  std::int64_t total_keys = 0;  // live ones
  std::int64_t total_size_bytes = 0;
  std::string version;  // of the storage; empty before etcd 3.6
};
Result<SnapshotStatus> snapshot_status(const std::string& path);

// Live keys that begin with one of the prefixes, each with its newest value. The SHA-256 is required.
Result<std::map<std::string, std::string>> newest_values(const std::string& path,
                                                         const std::vector<std::string>& prefixes);

}  // namespace rusternetes::rhino
