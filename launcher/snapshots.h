#pragma once
// A home's snapshots: HOME/snapshots/CLUSTER/ID.snapshot. The files are the truth, nothing else remembers
// them, and they outlive their cluster.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "launcher/home.h"
#include "launcher/ports/store_port.h"
#include "launcher/settings.h"
#include "launcher/snapshot/reader.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// Members of a snapshot: the store, what the cluster was made with, and its certificates in the folder pki/.
inline constexpr const char* store_member = "store.db";
inline constexpr const char* cluster_member = "cluster.json";

struct KnownSnapshot {
  std::string id;       // the file's name
  std::string cluster;  // the folder's
  std::filesystem::path file;
};
// Of one cluster, or of all if that is empty, the oldest first.
Result<std::vector<KnownSnapshot>> known_snapshots(const Home& home, const std::string& cluster = {});
// SnapshotNotFound with what there is; BadRequest if `cluster` is empty and two clusters have it.
Result<KnownSnapshot> find_snapshot(const Home& home, const std::string& cluster, const std::string& id);
std::filesystem::path snapshot_path(const Home& home, const std::string& cluster, const std::string& id);
// "20261122-082015", with "-scheduled" behind it for one that is taken by itself, and "-2", "-3", ... if a
// snapshot of this home has that already.
Result<std::string> new_snapshot_id(const Home& home, SystemTime time, bool is_scheduled = false);
// When one that was taken by itself was begun; nothing for any other. The id says it, since it is to be told of
// encrypted ones, too, without their passphrase.
std::optional<SystemTime> scheduled_time(std::string_view id);
// What may be one: letters, digits, '-', '_' and '.', not beginning with '.', at most 64.
bool is_snapshot_id(std::string_view id);

// cluster.json.
struct SnapshotCluster {
  ClusterSettings settings;
  std::string release;
  std::string kubernetes;
};
std::string to_json(const SnapshotCluster& cluster);
Result<SnapshotCluster> snapshot_cluster_from_json(std::string_view text);
Result<SnapshotCluster> read_cluster(const snapshot::Reader& reader);

// Whether the store of the one can be put under the other as it is: what its objects say about ranges and the
// node holds there.
bool can_take_store_of(const ClusterSettings& cluster, const ClusterSettings& snapshot);

StoreSource store_source(const StepContext& context);

// A restored store's revision is by at least so much higher than what any watcher has seen.
inline constexpr std::int64_t restore_bump = 1'000'000'000;
// What lies between two revisions of one cluster, of which each restore is a bump.
struct Distance {
  std::int64_t revisions = 0;
  std::int64_t restores = 0;
};
Distance distance(std::int64_t from, std::int64_t to);

Result<> sync_folder(const std::filesystem::path& folder);
// Copies a file to a name that is not taken, by way of NAME.partial; on an error nothing stays. FileInTheWay,
// NoSpace.
Result<> copy_to_new(const std::filesystem::path& from, const std::filesystem::path& to);

// Those beyond the newest `count`, of all or of those that were taken by themselves, are removed; returns their
// ids. What cannot be read is nobody's to judge, and stays. What a clock that was put back shows as still to
// come counts as the oldest, so that it never drives out what was just taken.
Result<std::vector<std::string>> remove_oldest_snapshots(const Home& home, const std::string& cluster,
                                                         std::size_t count, bool is_scheduled,
                                                         SystemTime now);

// "3.1 MiB", "2 hours".
std::string size_text(std::uint64_t bytes);
std::string duration_text(std::int64_t seconds);

}  // namespace rusternetes::launcher
