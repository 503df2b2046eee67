// topologySpreadConstraints with DoNotSchedule (KEPs 895, 3022, 3094, 3243): in no domain may the Pods that a
// constraint counts be more than maxSkew ahead of the domain that has fewest. ScheduleAnyway is a wish, and
// not heeded yet.

#include <algorithm>
#include <limits>
#include <map>

#include "scheduler/framework.h"
#include "scheduler/node_selection.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;
using core_v1::Pod;

struct Constraint {
  LabelSelector selector;
  std::string_view topology_key;
  std::int64_t max_skew = 1, min_domains = 1;
  bool honors_affinity = true, honors_taints = false;
  bool counts_itself = false;
  std::map<std::string_view, std::int64_t> counts;  // by the topology key's value
  std::int64_t fewest = 0;
};

std::vector<Constraint> constraints_of(const Pod& pod) {
  std::vector<Constraint> out;
  for (const auto constraint : pod.spec().topologySpreadConstraints()) {
    if (constraint.whenUnsatisfiable() != "DoNotSchedule") continue;
    Constraint& one = out.emplace_back();
    one.selector = selector_of(constraint.labelSelector());
    add_label_keys(one.selector, SelectorOperator::in, constraint.matchLabelKeys(), pod.metadata().labels());
    one.topology_key = constraint.topologyKey();
    one.max_skew = constraint.maxSkew();
    one.min_domains = constraint.minDomains(1);
    one.honors_affinity = constraint.nodeAffinityPolicy() != "Ignore";
    one.honors_taints = constraint.nodeTaintsPolicy() == "Honor";
    one.counts_itself = matches(one.selector, pod.metadata().labels());
  }
  return out;
}

bool tolerates_all(const Pod& pod, const core_v1::Node& node) {
  for (const auto taint : node.spec().taints()) {
    if (taint.effect() != "NoSchedule" && taint.effect() != "NoExecute") continue;
    const auto tolerations = pod.spec().tolerations();
    if (std::none_of(tolerations.begin(), tolerations.end(),
                     [&](const auto& one) { return tolerates(one, taint); }))
      return false;
  }
  return true;
}

// Pods of the same namespace that are not about to go. A selector that takes everything counts nothing.
std::int64_t count_pods(const NodeInfo& node, const LabelSelector& selector, std::string_view name_space) {
  if (selector.empty()) return 0;
  return std::count_if(node.pods.begin(), node.pods.end(), [&](const auto& entry) {
    const auto metadata = Pod(&entry.second.root()).metadata();
    return metadata.namespace_() == name_space && !metadata.has_deletionTimestamp() &&
           matches(selector, metadata.labels());
  });
}

// A node takes part if it has all the keys, and where the Pod could run as far as the policies ask.
void count(std::vector<Constraint>& constraints, const Pod& pod, const NodeInfo& info) {
  const core_v1::Node node(&info.node.root());
  const Labels labels = node.metadata().labels();
  for (const auto& one : constraints)
    if (!labels.contains(one.topology_key)) return;
  for (auto& one : constraints) {
    if (one.honors_affinity && !matches_node(pod, node)) continue;
    if (one.honors_taints && !tolerates_all(pod, node)) continue;
    one.counts[labels.get(one.topology_key)] += count_pods(info, one.selector, pod.metadata().namespace_());
  }
}

// Domains that are missing from minDomains count as empty.
std::int64_t fewest_of(const Constraint& one) {
  if (static_cast<std::int64_t>(one.counts.size()) < one.min_domains) return 0;
  std::int64_t out = std::numeric_limits<std::int32_t>::max();
  for (const auto& [value, number] : one.counts) out = std::min(out, number);
  return out;
}

std::vector<Refusal> judge(const std::vector<Constraint>& constraints, const NodeInfo& node) {
  const Labels labels = core_v1::Node(&node.node.root()).metadata().labels();
  for (const auto& one : constraints) {
    const Value* value = labels.find(one.topology_key);
    if (!value)
      return {{"node(s) didn't match pod topology spread constraints (missing required label)", true}};
    const auto counted = one.counts.find(value->str());
    const std::int64_t there = counted == one.counts.end() ? 0 : counted->second;
    if (there + (one.counts_itself ? 1 : 0) - one.fewest > one.max_skew)
      return {{"node(s) didn't match pod topology spread constraints", false}};
  }
  return {};
}

class PodTopologySpread final : public Plugin {
 public:
  std::string_view name() const override { return "PodTopologySpread"; }
  bool heeds_pods() const override { return true; }
  NodeFilter prepare(const Pod& pod, const Cache& cache) const override {
    auto constraints = constraints_of(pod);
    if (constraints.empty()) return {};
    for (const auto& [name, node] : cache.nodes()) count(constraints, pod, node);
    for (auto& one : constraints) one.fewest = fewest_of(one);
    return [constraints = std::move(constraints)](const NodeInfo& node) { return judge(constraints, node); };
  }
};

}  // namespace
std::unique_ptr<Plugin> make_pod_topology_spread() { return std::make_unique<PodTopologySpread>(); }
}  // namespace rusternetes::scheduler
