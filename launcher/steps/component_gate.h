#pragma once
// What a plan waits for before it goes on to a cluster's next component: that the one it has just started
// does its work.

#include <chrono>

#include "base/clock.h"
#include "base/status.h"
#include "launcher/containers/topology.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// Until the member's container runs, since later than `previous_start` (what ComponentContainer::started_at
// said before it was started anew; the epoch: whenever), and answers healthily. What cannot be asked has to
// live for a second, and a kubelet's node has to be Ready by a status younger than the kubelet.
// ComponentEnded when it keeps ending, or does not run after `timeout`; NotReady when it runs, and is not
// well by then; Interrupted.
Result<> wait_for_component(StepContext& context, const Member& member, std::chrono::milliseconds timeout,
                            SystemTime previous_start = {});

}  // namespace rusternetes::launcher
