#pragma once
// What the launcher asks of a cluster's store: copies at one revision, and what is done to a copy before a
// cluster starts on it. Calls block. A copy is a file that no process has open.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/snapshot/manifest.h"

namespace rusternetes::launcher {

// Where a cluster's store is. Of SQLite: the process that owns it streams copies on `socket`; `file` is opened
// only while that process does not run (invariant 1). Of etcd: its servers are asked for a snapshot.
struct StoreSource {
  snapshot::StoreKind kind = snapshot::StoreKind::sqlite;
  std::filesystem::path socket;
  std::filesystem::path file;
  // etcd
  std::vector<std::string> endpoints;
  std::filesystem::path authority, certificate, key;  // PEM files
  std::filesystem::path tool;                         // the program `rhino`
};

// One member of a new etcd cluster.
struct EtcdMember {
  std::string name;
  std::string peer_url;
  std::string initial_cluster;  // "NAME=PEER_URL,..."
  std::string token;            // of the cluster: another one for each restore
};

struct StoreFacts {
  std::int64_t revision = 0;
  std::int64_t object_count = 0;
};

// A cluster that is made from another one's objects has ranges of its own.
struct Adaptation {
  std::vector<std::string> service_cidrs_before;
  std::vector<std::string> service_cidrs;
  // Of a Kubernetes cluster that is none of ours: what only that one was goes, too.
  bool is_foreign = false;
};

// What the file of `etcdctl snapshot save` tells of the cluster that it is of.
struct ForeignCluster {
  std::vector<std::string> service_cidrs;  // empty: nobody wrote them down
};

class StorePort {
 public:
  virtual ~StorePort() = default;
  // Writes a copy to `to`, which does not exist; nothing is left there on an error. StoreUnreachable,
  // NoSpace.
  virtual Result<> copy_running(const StoreSource& source, const std::filesystem::path& to,
                                const std::function<void(std::uint64_t bytes)>& on_progress) = 0;
  // NotFound without a store; StoreInUse when a process has it open; StoreDamaged; NoSpace.
  virtual Result<> copy_stopped(const StoreSource& source, const std::filesystem::path& to) = 0;
  // Reads the whole copy: StoreDamaged when it is none.
  virtual Result<StoreFacts> facts(const std::filesystem::path& copy) = 0;
  // The revision becomes `revision`, and all before it counts as compacted, so that every watcher lists
  // again.
  virtual Result<> raise(const std::filesystem::path& copy, std::int64_t revision) = 0;
  // Makes the data folder `to`, which does not exist, of a member that starts on the copy. `tool`: `rhino`.
  virtual Result<> make_member(const std::filesystem::path& copy, const EtcdMember& member,
                               const std::filesystem::path& tool, const std::filesystem::path& to) = 0;
  // Takes out what only the cluster of before was, and gives Services addresses of the new range.
  // EncryptedAtRest and UnservedVersion for what cannot be taken over.
  virtual Result<> adapt(const std::filesystem::path& copy, const Adaptation& adaptation) = 0;
  // Of another Kubernetes cluster's etcd. EtcdSnapshotForeign, SnapshotCut, SnapshotDamaged, EncryptedAtRest.
  virtual Result<ForeignCluster> read_foreign(const std::filesystem::path& file,
                                              const std::filesystem::path& tool) = 0;
  // Makes a copy `to`/store.db of its newest objects; the folder exists.
  virtual Result<> import_foreign(const std::filesystem::path& file, const std::filesystem::path& tool,
                                  const std::filesystem::path& to) = 0;
};

}  // namespace rusternetes::launcher
