#pragma once
// What commands that change a running cluster begin with.

#include <memory>

#include "launcher/session.h"

namespace rusternetes::launcher {

struct Opened {
  std::unique_ptr<Session> session;
  ClusterSettings settings;
  bool is_dry = false;  // --dry-run: only looked at
};

// A cluster that runs, or, for a dry run, any. ClusterNotFound, ClusterStopped, RecoveryFailed.
Result<Opened> open_running(Invocation& invocation);

}  // namespace rusternetes::launcher
