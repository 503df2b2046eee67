#pragma once
// Bringing a cluster up that is there: stopped, ended, or half of it.

#include "launcher/session.h"

namespace rusternetes::launcher {

// Whether there is something to be started.
Result<bool> needs_start(Session& session, StepContext& context);
// AddressConflict where somebody has taken a port meanwhile. What runs is left.
Result<> start_cluster(Session& session, const Context& context);

}  // namespace rusternetes::launcher
