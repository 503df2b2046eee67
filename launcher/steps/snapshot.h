#pragma once
// The steps of `snapshot create`, `restore` and `clone`. What is half done lies in the cluster's own folder,
// and goes with it. A passphrase is in memory only: what needs one is undone by a later command, never
// finished.

#include <memory>
#include <optional>
#include <string>

#include "launcher/snapshots.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// What the plans of snapshots know beside the cluster's settings. What the journal keeps of it is in
// to_json(); a later process has no more.
struct SnapshotTask {
  std::string id;
  std::string note;
  std::filesystem::path file;  // of restore and clone
  std::optional<std::string> passphrase;
  bool is_foreign = false;          // `file` is a snapshot of another Kubernetes cluster's etcd
  bool has_certificates = false;    // those of the snapshot are taken, too
  bool has_snapshots = false;       // delete: those that are kept of the cluster, too
  bool keeps_old_store = false;     // it could not be read, so that no snapshot has it
  std::int64_t revision_floor = 0;  // a restored store's revision is restore_bump above it, at least
  std::vector<std::string> service_cidrs_before;
};
using Task = std::shared_ptr<SnapshotTask>;
// The settings with what a later process needs of the task.
std::string plan_arguments(const ClusterSettings& settings, const SnapshotTask& task);
// Adds the same to a plan's arguments.
std::string with_task(std::string_view arguments, const SnapshotTask& task);
Task task_from_arguments(std::string_view arguments);

// A copy at one revision, from the running store or the stopped one's file. `to` does not exist.
Result<> copy_store_to(StepContext& context, const std::filesystem::path& to);

// snapshot create
StepPtr copy_store(Context context, Task task);
StepPtr write_snapshot(Context context, Task task);
StepPtr keep_snapshot(Context context, Task task);
StepPtr remove_store_copy(Context context);

// restore
StepPtr stage_snapshot(Context context, Task task);
// The process alone, if it runs; Pods run on. Undo lets it run again.
StepPtr hold_process(Context context);
StepPtr swap_store(Context context);
StepPtr swap_certificates(Context context);
StepPtr resume_process(Context context);
StepPtr remove_staging(Context context, Task task);

// clone
StepPtr put_store(Context context, Task task);

// delete --snapshots
StepPtr remove_snapshots(Context context);

}  // namespace rusternetes::launcher
