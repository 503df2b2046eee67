#pragma once
// What kube-controller-manager's flags of the node lifecycle controller say, with its defaults.

#include <chrono>

namespace rusternetes::controller_manager {

struct NodeLifecycleOptions {
  // --node-monitor-grace-period: a node that was not heard of for longer is Unknown.
  std::chrono::milliseconds monitor_grace_period{50'000};
  // --node-startup-grace-period: the same for a node that never posted a status, from its creation on.
  std::chrono::milliseconds startup_grace_period{60'000};
  // --node-monitor-period: nodes are found silent at multiples of it only, so that those that fall silent
  // together are judged together. Zero: at once.
  std::chrono::milliseconds monitor_period{5'000};
  // --node-eviction-rate, --secondary-node-eviction-rate: nodes a second and zone that get a NoExecute taint,
  // in a healthy zone and in an unhealthy one that is large.
  double eviction_rate = 0.1, secondary_eviction_rate = 0.01;
  // --large-cluster-size-threshold: up to so many nodes an unhealthy zone is not evicted from at all.
  int large_zone_threshold = 50;
  // --unhealthy-zone-threshold: the share of nodes (three at least) that are not ready in an unhealthy zone.
  double unhealthy_zone_threshold = 0.55;
};

}  // namespace rusternetes::controller_manager
