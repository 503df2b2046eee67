#include "controller-manager/pod_gc_plan.h"

#include <algorithm>
#include <tuple>

#include "controller-manager/node_lifecycle_health.h"

namespace rusternetes::controller_manager {

using apimachinery::Document;
using apimachinery::core_v1::Node;
using apimachinery::core_v1::Pod;

bool is_pod_terminated(const Pod& pod) {
  const auto phase = pod.status().phase();
  return phase == "Succeeded" || phase == "Failed";
}

bool is_pod_abandoned(const Pod& pod, const Node& node) {
  if (!pod.metadata().has_deletionTimestamp() || is_pod_end_forced(pod)) return false;
  if (pod.spec().nodeName().empty()) return true;
  if (!node || condition_status(node, "Ready") == "True") return false;
  for (const auto taint : node.spec().taints())
    if (taint.key() == "node.kubernetes.io/out-of-service") return true;
  return false;
}

bool is_pod_end_forced(const Pod& pod) {
  return pod.metadata().has_deletionTimestamp() && pod.metadata().deletionGracePeriodSeconds() == 0 &&
         is_pod_terminated(pod);
}

std::vector<Document> excess_pods(std::vector<Document> terminated, std::size_t threshold) {
  if (terminated.size() <= threshold) return {};
  const auto rank = [](const Document& document) {
    const Pod pod(&document.root());
    const bool is_evicted = pod.status().phase() == "Failed" && pod.status().reason() == "Evicted";
    return std::tuple(!is_evicted, pod.metadata().creationTimestamp(), pod.metadata().name());
  };
  std::sort(terminated.begin(), terminated.end(),
            [&](const Document& a, const Document& b) { return rank(a) < rank(b); });
  terminated.resize(terminated.size() - threshold);
  return terminated;
}

}  // namespace rusternetes::controller_manager
