#pragma once
// Asking a cluster's api-server how it is, as its administrator.

#include <chrono>
#include <string>

#include "base/status.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

struct ClusterHealth {
  bool is_api_ready = false;
  bool is_node_ready = false;
  std::string message;  // why not
};

// Looks once.
ClusterHealth cluster_health(StepContext& context);

// Waits until /readyz says ok and the node is Ready, by a status younger than the running process: what the
// store has from before a stop does not count. NotReady after `timeout`; ProcessFailed when the supervised
// process keeps ending; Interrupted.
Result<> wait_until_ready(StepContext& context, std::chrono::milliseconds timeout);

}  // namespace rusternetes::launcher
