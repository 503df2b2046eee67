#pragma once
// What commands that change a running cluster begin with.

#include <memory>

#include "launcher/session.h"

namespace rusternetes::launcher {

struct OpenedCluster {
  std::unique_ptr<Session> session;
  ClusterSettings settings;
  bool is_dry = false;  // --dry-run: it may be any, and is only looked at
};
// The cluster that the invocation names. ClusterNotFound, ClusterStopped, RecoveryFailed.
Result<OpenedCluster> open_running(Invocation& invocation);

}  // namespace rusternetes::launcher
