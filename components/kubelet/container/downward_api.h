#pragma once
// Values of a Pod that its containers may see: fieldRef and resourceFieldRef of the environment and of volumes.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

struct DownwardContext {
  std::string node_name;
  std::vector<std::string> pod_ips, host_ips;
  // What limits fall back to (limits.cpu of a container without one): the node's allocatable.
  std::map<std::string, std::string> allocatable;
};

// "metadata.name", "metadata.labels['key']", "metadata.labels" (all, one key="value" a line), "status.podIP", ...
Result<std::string> field_value(const core_v1::Pod& pod, std::string_view path, const DownwardContext& context);
// limits and requests of cpu, memory, ephemeral-storage and hugepages, divided and rounded up.
Result<std::string> resource_value(const core_v1::Pod& pod, const core_v1::ResourceFieldSelector& selector,
                                   std::string_view own_container, const DownwardContext& context);

}  // namespace rusternetes::kubelet
