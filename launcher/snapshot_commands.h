#pragma once
// What `snapshot`, `restore` and `clone` share.

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "launcher/session.h"
#include "launcher/snapshot/reader.h"
#include "launcher/snapshots.h"
#include "launcher/steps/snapshot.h"

namespace rusternetes::launcher {

// --passphrase-file's first line; nothing without the flag. BadRequest.
Result<std::optional<std::string>> passphrase_flag(const Invocation& invocation);

// The first line of a file. BadRequest.
Result<std::string> read_passphrase(const std::string& path);
// --keep; 0 without the flag. BadRequest.
Result<int> keep_flag(const Invocation& invocation);
// `snapshot schedule` (commands/snapshot_schedule.cpp).
Command snapshot_schedule_command();

// Takes one, as a plan of its own.
struct TakenSnapshot {
  KnownSnapshot snapshot;
  snapshot::Overview overview;
};
struct SnapshotRequest {
  std::string note;
  std::optional<std::string> passphrase;
  bool is_scheduled = false;
};
Result<TakenSnapshot> take_snapshot(Session& session, const ClusterSettings& settings,
                                    const SnapshotRequest& request);
// What killed commands left half written among the kept ones. The home's lock is held.
void remove_partial_snapshots(const Home& home);

// The snapshot that --id or --file names, open and with the cluster it is of. `cluster` is looked at first.
struct OpenSnapshot {
  std::filesystem::path file;
  std::optional<std::string> passphrase;
  std::unique_ptr<snapshot::Reader> reader;
  SnapshotCluster cluster;
  std::string id() const { return reader->manifest().description.id; }
  std::int64_t created_at_s() const { return reader->manifest().description.created_at_s; }
};
Result<OpenSnapshot> open_snapshot(const Invocation& invocation, const std::string& id,
                                   const std::filesystem::path& file, const std::string& cluster,
                                   std::optional<std::string> passphrase);

// What a restore into a cluster that is there takes: asked for, with what is dropped, and what was is kept.
struct PreparedRestore {
  std::shared_ptr<SnapshotTask> task;
  bool was_running = false;
  std::optional<std::int64_t> dropped_revisions;  // nothing: nobody knows
  std::optional<TakenSnapshot> kept;              // what was, before it
};
// `action`: what is asked on the terminal, behind what is dropped: "Restore cluster "dev"". SnapshotOfAnother,
// ConfirmationRequired.
Result<PreparedRestore> prepare_restore(Invocation& invocation, Session& session, const ClusterSettings& settings,
                                        const OpenSnapshot& source, std::string_view action);

// What a new cluster begins with.
struct NewClusterSource {
  ClusterSettings before;  // of what flags do not say
  SnapshotTask task;
  std::string text;  // "the objects of ..."
  boost::json::object json;
};
// A new cluster of the invocation's name on these objects (commands/clone.cpp).
Result<> make_cluster_of(Invocation& invocation, Session& session, NewClusterSource source);
// The same, of a snapshot.
Result<> make_clone(Invocation& invocation, Session& session, OpenSnapshot source, bool has_certificates);
// The flags that make_clone() looks at.
std::vector<Flag> clone_flags();

}  // namespace rusternetes::launcher
