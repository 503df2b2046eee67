#pragma once
// The scheduling framework: plugins filter the nodes on which a Pod may run and score those that are left
// (kubernetes.io "Scheduling Framework").

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/cache.h"

namespace rusternetes::scheduler {

// Why a node is no place for a Pod. `is_unresolvable`: no deletion of other Pods would help.
struct Refusal {
  std::string reason;  // as kubectl describe shows it: "Insufficient cpu"
  bool is_unresolvable = false;
};

// One Pod's filter. Nothing: the node will do. Several reasons at once are possible (resources).
using NodeFilter = std::function<std::vector<Refusal>(const NodeInfo& node)>;

class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view name() const = 0;
  // Of a plugin that compares just the Pod and the node.
  virtual std::vector<Refusal> filter(const apimachinery::core_v1::Pod&, const NodeInfo&) const { return {}; }
  // The filter of one cycle, in which nothing changes: for a plugin that works something out before it looks at the nodes
  // (what stands on all of them, for one). An empty function lets every node pass. What it is given outlives it.
  virtual NodeFilter prepare(const apimachinery::core_v1::Pod& pod, const Cache&) const {
    return [this, &pod](const NodeInfo& node) { return filter(pod, node); };
  }
  // Whether a Pod that is bound somewhere, or whose labels change, may make a node do that did not. (One that goes, and a
  // node that changes, always may.)
  virtual bool heeds_pods() const { return false; }
  // 0 to 100, the higher the better; `weight` multiplies it.
  virtual std::int64_t score(const apimachinery::core_v1::Pod&, const NodeInfo&) const { return 0; }
  virtual std::int64_t weight() const { return 1; }
};

// One maker a plugin.
std::unique_ptr<Plugin> make_node_name();
std::unique_ptr<Plugin> make_node_unschedulable();
std::unique_ptr<Plugin> make_taint_toleration();
std::unique_ptr<Plugin> make_node_affinity();
std::unique_ptr<Plugin> make_node_ports();
std::unique_ptr<Plugin> make_node_resources_fit();
std::unique_ptr<Plugin> make_pod_topology_spread();
std::unique_ptr<Plugin> make_inter_pod_affinity();
std::unique_ptr<Plugin> make_unsupported();
std::vector<std::unique_ptr<Plugin>> default_plugins();

struct Placement {
  std::optional<std::string> node;
  std::string message;  // "0/3 nodes are available: 1 Insufficient cpu, ..." when there is none
  bool heeds_pods = false;  // a plugin that does so refused nodes
};

// One Pod's cycle: a plain function of the cache. Among the best, `turn` picks (so that equals take turns).
Placement place_pod(const apimachinery::core_v1::Pod& pod, const Cache& cache, const std::vector<std::unique_ptr<Plugin>>& plugins,
                    std::uint64_t turn);

}  // namespace rusternetes::scheduler
