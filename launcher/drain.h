#pragma once
// Taking a node out of use, after `kubectl drain`: it is cordoned, its Pods are evicted, PodDisruptionBudgets are
// heeded. Pods of DaemonSets, and those that the node has by itself, stay.

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// Pods of the node that nothing would make again: NAMESPACE/NAME.
Result<std::vector<std::string>> bare_pods(const StepContext& context, const std::string& node);
// A node that is not there: no error.
Result<> set_schedulable(const StepContext& context, const std::string& node, bool is_schedulable);
// Until its Pods have gone, or NotDrained, which names one that stays and why. `on_left` hears how many are left.
Result<> evict_pods(const StepContext& context, const std::string& node, std::chrono::milliseconds timeout,
                    const std::function<void(std::size_t left)>& on_left);
// The Node object. Absent: no error.
Result<> delete_node(const StepContext& context, const std::string& node);

}  // namespace rusternetes::launcher
