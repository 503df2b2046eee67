#pragma once
// The proxy's numbers under kube-proxy's names. One thread's.

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rusternetes::kube_proxy {

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds_s)
      : bounds_(std::move(bounds_s)), counts_(bounds_.size() + 1) {}
  void observe(std::chrono::nanoseconds took);
  void write(std::string& out, std::string_view name, std::string_view help) const;
  std::uint64_t count() const { return count_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

// Of the part that serves NetworkPolicies.
struct PolicyMetrics {
  PolicyMetrics();
  Histogram sync;
  std::uint64_t full_syncs = 0, sync_failures = 0, changes = 0;
  double last_sync_s = 0, last_queued_s = 0;  // seconds since the epoch
  bool has_synced = false;  // whether the rules were ever loaded by this process
  std::size_t policies = 0;
  std::size_t refused = 0;                // policies and Pods whose rules the kernel does not take
  std::array<std::size_t, 2> isolated{};  // the node's Pods: by ingress, by egress
  // Packets: by ingress, by egress, of Pods not known yet, and with another source than their Pod's.
  std::array<std::uint64_t, 4> denied{};
  std::string text() const;
};

struct Metrics {
  Metrics();
  Histogram sync, full_sync, partial_sync, network_programming, conntrack;
  std::uint64_t sync_failures = 0, cleanup_failures = 0, conntrack_deleted = 0;
  std::uint64_t endpoint_changes = 0, service_changes = 0;
  std::size_t endpoint_changes_pending = 0, service_changes_pending = 0;
  double last_sync_s = 0, last_queued_s = 0;  // seconds since the epoch
  int no_local_internal = 0, no_local_external = 0;
  std::array<std::uint64_t, 2> healthz{}, livez{};  // 200, 503
  // In the text form that Prometheus scrapes.
  std::string text() const;
};

}  // namespace rusternetes::kube_proxy
