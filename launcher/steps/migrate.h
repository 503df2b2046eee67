#pragma once
// The steps by which a running cluster of containers gets another store: its objects go from SQLite to etcd
// or back, or into more members of etcd. Nodes, addresses, authorities and keys stay, and Pods run on. What
// is half done lies in the cluster's folder `migrate`. Until the new store serves, all of it can be undone:
// the old one is only stopped.

#include "launcher/steps/change.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// Remembers the images of both, so that a delete finds them. Undo brings the engine back to what the cluster
// was; the first step of a migration.
StepPtr begin_migration(Context context, Change change);
// From here on nothing is written.
StepPtr end_api_servers(Context context);
// A copy of all that is there, with a revision that no watcher has seen, and what the new store starts on.
StepPtr stage_store(Context context, Change change);
StepPtr end_old_store(Context context, Change change);
StepPtr put_new_store(Context context);
// Waits until it serves.
StepPtr start_new_store(Context context);
StepPtr record_migration(Context context, Change change);
// Once the api-servers answer, what was of the old store goes; until then it is kept, and that is told.
StepPtr remove_old_store(Context context, Change change);

}  // namespace rusternetes::launcher
