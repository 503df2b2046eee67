#pragma once
// Asking a cluster's api-server how it is, as its administrator.

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/liveness.h"
#include "launcher/ports/http_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

struct ClusterHealth {
  bool is_api_ready = false;
  bool is_node_ready = false;              // every node
  std::vector<std::string> waiting_nodes;  // those that are not
  std::string message;                     // why not
};

// Looks once.
ClusterHealth cluster_health(StepContext& context, const Liveness& liveness);

// Why the node does not count as Ready; empty if it does, by a status younger than what speaks for it.
std::string node_problem(StepContext& context, const Liveness& liveness, const std::string& node);

// What of a cluster that runs whole is not well: a component, or what cluster_health() says. Empty: all is well.
std::string what_is_wrong(StepContext& context, const Liveness& liveness);

// Waits until /readyz says ok and every node is Ready, by a status younger than what runs: what the store has
// from before a stop does not count. NotReady after `timeout`; ProcessFailed when a process or a component
// keeps ending; Interrupted.
Result<> wait_until_ready(StepContext& context, std::chrono::milliseconds timeout);

}  // namespace rusternetes::launcher
