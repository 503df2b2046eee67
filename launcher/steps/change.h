#pragma once
// The steps by which a running cluster becomes another one: nodes and published ports come and go.

#include <chrono>
#include <string>
#include <vector>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// What a change knows beside the cluster's settings, which are the new ones.
struct ChangeTask {
  ClusterSettings previous;
  std::string previous_manifest;  // as ClusterSettings::manifest, of another release; empty: as this one makes it
  // What the containers become, by the release that began the change: another one, which finishes it, would keep what
  // it finds. Empty in records of before, and of what is not finished by another one.
  std::string manifest;
  std::string removed_node;  // empty: none
  std::chrono::milliseconds drain_timeout{0};
  std::chrono::milliseconds gate_timeout{120'000};  // of each component of another release
};
using Change = std::shared_ptr<ChangeTask>;
std::string change_arguments(const ClusterSettings& settings, const ChangeTask& task);
Result<Change> change_from_arguments(std::string_view arguments);

// The same, of a cluster that is made otherwise.
Context with_settings(const Context& context, ClusterSettings settings);
// What the cluster was, for the steps that bring it back to that.
Context previous_of(const Context& context, const ChangeTask& change);

// Writes them down with what they reserve; the phase stays.
Result<> record_settings(StepContext& context, const ClusterSettings& settings);

// Nothing; undo brings the engine back to what the cluster was. The first step of a change.
StepPtr remember_previous(Context context, Change change);
// The settings with their reservations; undo puts the previous ones back.
StepPtr record_change(Context context, Change change);
StepPtr drain_node(Context context, Change change);
// Its containers, its Pods' with them, and the Node object.
StepPtr remove_node(Context context, Change change);
// schedule.cpp: what takes snapshots by itself, as the settings say; undo brings it to the previous ones.
StepPtr change_schedule(Context context, Change change);
// The engine as the manifest says, which is the new one.
StepPtr apply_manifest(Context context);

}  // namespace rusternetes::launcher
