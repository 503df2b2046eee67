#pragma once
// Requests and limits as the kernel's numbers, for containers, Pods and the classes of quality of service.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

inline constexpr std::int64_t kCpuPeriod_us = 100'000;

// 1000m is 1024 shares; at least 2.
std::int64_t cpu_shares_of(std::int64_t milli_cpu);
// At least 1 ms of each period; 0 for no limit.
std::int64_t cpu_quota_us_of(std::int64_t milli_cpu);
// The weight of cgroup v2 for v1's shares, after the formula of KEP-2254.
std::int64_t cpu_weight_of(std::int64_t shares);

engine::Resources container_resources(const core_v1::Pod& pod, const core_v1::Container& container,
                                      std::int64_t node_memory_bytes);

// What all containers of the Pod may take together. No value: no limit.
struct PodResources {
  std::int64_t milli_cpu_request = 0;
  std::int64_t memory_request_bytes = 0;
  std::optional<std::int64_t> milli_cpu_limit;
  std::optional<std::int64_t> memory_limit_bytes;
};
// The largest of what runs at the same time: the init containers one by one with the sidecars before them, then all.
PodResources pod_resources(const core_v1::Pod& pod);

// "<root>/kubepods/burstable/podUID"; a guaranteed Pod stands directly below kubepods.
std::string kubepods_cgroup(std::string_view cgroup_root);
std::string qos_cgroup(std::string_view cgroup_root, QosClass qos);
std::string pod_cgroup(std::string_view cgroup_root, const core_v1::Pod& pod);

}  // namespace rusternetes::kubelet
