#pragma once
// `etcdutl snapshot restore`, for a snapshot of etcd (3.4 to 3.6) or a store of ours: the data folder of one
// member of a new cluster. Every member is made of the same file, and starts as any member that was stopped;
// etcd 3.4 to 3.6 take it.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace rusternetes::rhino {

// With etcdutl's names and defaults.
struct RestoreOptions {
  std::string data_dir;  // default: NAME.etcd
  std::string name = "default";
  std::string initial_cluster;  // NAME=PEER-URL,...; default: NAME=the advertised peer URLs
  std::string initial_advertise_peer_urls = "http://localhost:2380";
  std::string initial_cluster_token = "etcd-cluster";
  // By how much the revision rises; then the new one is to be compacted, which etcd does as it starts.
  std::int64_t bump_revision = 0;
  bool marks_compacted = false;
  bool skips_hash_check = false;
};

struct RestoreSummary {
  std::int64_t revision = 0;
  std::uint64_t cluster_id = 0, member_id = 0;
  std::size_t members = 0;
  std::string data_dir;
};

// DATA-DIR must not be there, or be empty ("AlreadyExists"). DATA-DIR/member comes to be only when all of it
// is on disk. Alarms of the old cluster are not taken over. Blocking.
Result<RestoreSummary> restore_snapshot(const std::string& file, RestoreOptions options);

}  // namespace rusternetes::rhino
