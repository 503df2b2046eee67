#pragma once
// Maintenance.Snapshot from the other end: what a running etcd (3.4 to 3.6) or rhino has, as a file.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "storage/etcd/endpoints.h"

namespace rusternetes::rhino {

struct SaveOptions {
  storage::etcd::EtcdOptions etcd;  // its servers are asked one after the other
  // Otherwise the member first takes part in a linearizable read: the snapshot has every write that was
  // acknowledged before. A member that has lost its cluster can only give what it has.
  bool is_serializable = false;
  // A store of storage/sqlite is made of it right away, its revisions raised by so much.
  bool makes_store = false;
  std::int64_t bump_revision = 0;
};

struct SaveSummary {
  std::string endpoint, version;  // the server's; empty before etcd 3.6
  std::int64_t revision = 0, keys = 0, size_bytes = 0;
};

// `path` must not exist ("AlreadyExists"); mode 0600. It comes to be only when all of it is on disk and its
// SHA-256 was found right. Blocking.
Result<SaveSummary> save_snapshot(const SaveOptions& options, const std::string& path);

}  // namespace rusternetes::rhino
