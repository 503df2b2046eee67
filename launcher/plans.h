#pragma once
// Which steps the changing commands are made of.

#include "launcher/plan.h"
#include "launcher/steps/change.h"
#include "launcher/steps/rotation.h"
#include "launcher/steps/snapshot.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

Plan create_plan(const Context& context);
Plan start_plan(const Context& context);
// The process alone: Pods run on.
Plan restart_plan(const Context& context);
// The same with new certificates.
Plan rotate_plan(const Context& context);
// New authorities beside the old ones, and without these: up to the moment from which on the new ones sign it is undone.
// Once a component does not get well in time, it fails; as a recovery, which only goes forward, it tells and goes on.
Plan rotate_authorities_plan(const Context& context, const Rotation& rotation, bool is_recovery = false);
Plan stop_plan(const Context& context);
// `has_snapshots`: those that the home keeps of the cluster go, too.
Plan delete_plan(const Context& context, bool has_snapshots = false);
Plan snapshot_plan(const Context& context, const Task& task);
// Stops the process, not the Pods, and starts it again on the snapshot's store; a stopped cluster stays so.
Plan restore_plan(const Context& context, const Task& task);
// create, on the snapshot's objects. Of another Kubernetes cluster's etcd it is an "import".
Plan clone_plan(const Context& context, const Task& task);
// Nodes or published ports come or go; Pods elsewhere do not notice.
Plan change_plan(const Context& context, const Change& change);
// Another release, component by component. Whatever fails, the cluster runs the one of before again.
Plan upgrade_plan(const Context& context, const Change& change);
// The release of before its last upgrade; with a file in the task, the snapshot's objects, too.
Plan rollback_plan(const Context& context, const Change& change, const Task& task);
// Its objects go into another store, that of the settings. Until that serves, it can be undone.
Plan migrate_plan(const Context& context, const Change& change);
// Snapshots are taken by themselves, otherwise than before, or no more; the cluster does not notice.
Plan schedule_plan(const Context& context, const Change& change);
// Starts the cluster's own Podman again, which ended beside a running cluster.
Plan revive_engine_plan(const Context& context);

// The plan of a journal's record, built again from its arguments. RecoveryFailed for a kind that this release
// lacks.
Result<Plan> plan_from_record(const state::PlanRecord& record, Environment& environment, state::State* state,
                              const Home& home, Progress* progress);

Context make_context(Environment& environment, state::State* state, const Home& home,
                     ClusterSettings settings, Progress* progress);

}  // namespace rusternetes::launcher
