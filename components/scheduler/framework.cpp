#include "scheduler/framework.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace rusternetes::scheduler {

std::vector<std::unique_ptr<Plugin>> default_plugins() {
  std::vector<std::unique_ptr<Plugin>> out;
  out.push_back(make_node_unschedulable());
  out.push_back(make_node_name());
  out.push_back(make_taint_toleration());
  out.push_back(make_node_affinity());
  out.push_back(make_node_ports());
  out.push_back(make_node_resources_fit());
  out.push_back(make_unsupported());
  out.push_back(make_pod_topology_spread());
  out.push_back(make_inter_pod_affinity());
  return out;
}

Placement place_pod(const apimachinery::core_v1::Pod& pod, const Cache& cache, const std::vector<std::unique_ptr<Plugin>>& plugins,
                    std::uint64_t turn) {
  std::vector<std::pair<const Plugin*, NodeFilter>> filters;
  for (const auto& plugin : plugins)
    if (auto filter = plugin->prepare(pod, cache)) filters.emplace_back(plugin.get(), std::move(filter));
  Placement out;
  std::map<std::string, int> reasons;
  std::vector<const NodeInfo*> feasible;
  std::vector<std::string> names;
  for (const auto& [name, node] : cache.nodes()) {
    bool fits = true;
    for (const auto& [plugin, filter] : filters) {
      const auto refusals = filter(node);
      for (const auto& refusal : refusals) ++reasons[refusal.reason];
      if (!refusals.empty()) {
        fits = false;
        out.heeds_pods |= plugin->heeds_pods();
        break;
      }
    }
    if (fits) {
      feasible.push_back(&node);
      names.push_back(name);
    }
  }
  if (feasible.empty()) {
    if (cache.nodes().empty()) {
      out.message = "no nodes available to schedule pods";
      return out;
    }
    // Sorted as Kubernetes prints them: by text "N reason".
    std::vector<std::string> texts;
    for (const auto& [reason, count] : reasons) texts.push_back(fmt::format("{} {}", count, reason));
    std::sort(texts.begin(), texts.end());
    std::string list;
    for (const auto& text : texts) list += (list.empty() ? "" : ", ") + text;
    out.message = fmt::format("0/{} nodes are available: {}.", cache.nodes().size(), list);
    return out;
  }
  std::int64_t best = -1;
  std::vector<std::size_t> equals;
  for (std::size_t i = 0; i < feasible.size(); ++i) {
    std::int64_t total = 0;
    if (feasible.size() > 1)
      for (const auto& plugin : plugins) total += plugin->score(pod, *feasible[i]) * plugin->weight();
    if (total > best) equals.clear(), best = total;
    if (total == best) equals.push_back(i);
  }
  out.node = names[equals[turn % equals.size()]];
  return out;
}

}  // namespace rusternetes::scheduler
