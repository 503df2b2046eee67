#include "kubelet/container/resources.h"

#include <algorithm>

namespace rusternetes::kubelet {

std::int64_t cpu_shares_of(std::int64_t milli_cpu) {
  return std::clamp<std::int64_t>(milli_cpu * 1024 / 1000, 2, 262'144);
}

std::int64_t cpu_quota_us_of(std::int64_t milli_cpu) {
  if (milli_cpu <= 0) return 0;
  return std::max<std::int64_t>(1000, milli_cpu * kCpuPeriod_us / 1000);
}

std::int64_t cpu_weight_of(std::int64_t shares) { return 1 + (std::max<std::int64_t>(2, shares) - 2) * 9999 / 262'142; }

namespace {

bool has(const apimachinery::MapView<std::string_view>& map, std::string_view name) { return map.contains(name); }

std::int64_t milli_cpu_request(const core_v1::ResourceRequirements& resources) {
  return quantity_of(has(resources.requests(), "cpu") ? resources.requests() : resources.limits(), "cpu").milli_value();
}
std::int64_t memory_request(const core_v1::ResourceRequirements& resources) {
  return quantity_of(has(resources.requests(), "memory") ? resources.requests() : resources.limits(), "memory").value();
}

constexpr int kGuaranteedOomScore = -997;
constexpr int kBestEffortOomScore = 1000;

int oom_score_adj(const core_v1::Pod& pod, std::int64_t memory_request_bytes, std::int64_t node_memory_bytes) {
  if (pod.spec().priority() >= 2'000'000'000) return kGuaranteedOomScore;  // system-critical
  switch (qos_class(pod)) {
    case QosClass::guaranteed: return kGuaranteedOomScore;
    case QosClass::best_effort: return kBestEffortOomScore;
    case QosClass::burstable: break;
  }
  if (node_memory_bytes <= 0) return kBestEffortOomScore - 1;
  // The more of the node's memory it asked for, the later it is killed; between the other two classes.
  const auto score = 1000 - static_cast<std::int64_t>(1000.0 * static_cast<double>(memory_request_bytes) /
                                                      static_cast<double>(node_memory_bytes));
  return static_cast<int>(std::clamp<std::int64_t>(score, 1000 + kGuaranteedOomScore, kBestEffortOomScore - 1));
}

}  // namespace

engine::Resources container_resources(const core_v1::Pod& pod, const core_v1::Container& container,
                                      std::int64_t node_memory_bytes) {
  const auto resources = container.resources();
  engine::Resources out;
  out.cpu_shares = cpu_shares_of(milli_cpu_request(resources));
  const auto limit = quantity_of(resources.limits(), "cpu").milli_value();
  if (limit > 0) {
    out.cpu_quota_us = cpu_quota_us_of(limit);
    out.cpu_period_us = kCpuPeriod_us;
  }
  out.memory_limit_bytes = quantity_of(resources.limits(), "memory").value();
  out.oom_score_adj = oom_score_adj(pod, memory_request(resources), node_memory_bytes);
  return out;
}

namespace {

// Sums of one resource. `limit` ends when a container has none.
struct Total {
  std::int64_t request = 0;
  std::int64_t limit = 0;
  bool is_limited = true;

  void add(std::int64_t more_request, std::int64_t more_limit) {
    request += more_request;
    limit += more_limit;
    if (more_limit <= 0) is_limited = false;
  }
  void raise_to(const Total& other) {
    request = std::max(request, other.request);
    limit = std::max(limit, other.limit);
    is_limited = is_limited && other.is_limited;
  }
};

template <class Request, class Limit>
Total total_of(const core_v1::Pod& pod, Request request, Limit limit) {
  Total sidecars, peak;
  for (const auto container : pod.spec().initContainers()) {
    const auto resources = container.resources();
    if (is_sidecar(container)) {
      sidecars.add(request(resources), limit(resources));
      peak.raise_to(sidecars);
      continue;
    }
    Total one = sidecars;
    one.add(request(resources), limit(resources));
    peak.raise_to(one);
  }
  Total all = sidecars;
  for (const auto container : pod.spec().containers()) all.add(request(container.resources()), limit(container.resources()));
  peak.raise_to(all);
  return peak;
}

}  // namespace

PodResources pod_resources(const core_v1::Pod& pod) {
  const auto cpu = total_of(pod, milli_cpu_request, [](const core_v1::ResourceRequirements& r) {
    return quantity_of(r.limits(), "cpu").milli_value();
  });
  const auto memory = total_of(pod, memory_request, [](const core_v1::ResourceRequirements& r) {
    return quantity_of(r.limits(), "memory").value();
  });
  PodResources out;
  out.milli_cpu_request = cpu.request;
  out.memory_request_bytes = memory.request;
  if (cpu.is_limited && cpu.limit > 0) out.milli_cpu_limit = cpu.limit;
  if (memory.is_limited && memory.limit > 0) out.memory_limit_bytes = memory.limit;
  const auto whole = pod.spec().resources();
  if (has(whole.requests(), "cpu")) out.milli_cpu_request = quantity_of(whole.requests(), "cpu").milli_value();
  if (has(whole.requests(), "memory")) out.memory_request_bytes = quantity_of(whole.requests(), "memory").value();
  if (has(whole.limits(), "cpu")) out.milli_cpu_limit = quantity_of(whole.limits(), "cpu").milli_value();
  if (has(whole.limits(), "memory")) out.memory_limit_bytes = quantity_of(whole.limits(), "memory").value();
  return out;
}

std::string kubepods_cgroup(std::string_view cgroup_root) {
  std::string out(cgroup_root);
  while (!out.empty() && out.back() == '/') out.pop_back();
  return out + "/kubepods";
}

std::string qos_cgroup(std::string_view cgroup_root, QosClass qos) {
  const std::string base = kubepods_cgroup(cgroup_root);
  switch (qos) {
    case QosClass::guaranteed: return base;
    case QosClass::burstable: return base + "/burstable";
    case QosClass::best_effort: return base + "/besteffort";
  }
  return base;
}

std::string pod_cgroup(std::string_view cgroup_root, const core_v1::Pod& pod) {
  return qos_cgroup(cgroup_root, qos_class(pod)) + "/pod" + std::string(pod.metadata().uid());
}

}  // namespace rusternetes::kubelet
