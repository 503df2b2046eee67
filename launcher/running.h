#pragma once
// What commands that change a cluster begin with.

#include <memory>

#include "launcher/session.h"

namespace rusternetes::launcher {

struct OpenedCluster {
  std::unique_ptr<Session> session;
  ClusterSettings settings;
  bool is_dry = false;  // --dry-run: it is only looked at
  Context context() const { return session->context(settings); }
};
// The cluster that the invocation names. ClusterNotFound, RecoveryFailed.
Result<OpenedCluster> open_cluster(Invocation& invocation);
// One that runs, or, for a dry run, any. ClusterStopped, too.
Result<OpenedCluster> open_running(Invocation& invocation);

}  // namespace rusternetes::launcher
