#include "kube-proxy/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace rusternetes::kube_proxy {

namespace {

using Out = std::back_insert_iterator<std::string>;

std::vector<double> doubling_bounds() {
  std::vector<double> out;
  double bound = 0.001;
  for (int i = 0; i < 15; ++i, bound *= 2) out.push_back(bound);
  return out;
}

std::vector<double> programming_bounds() {
  std::vector<double> out{0.25, 0.5};
  for (int i = 1; i < 60; ++i) out.push_back(i);
  for (int i = 60; i < 120; i += 5) out.push_back(i);
  for (int i = 120; i <= 300; i += 30) out.push_back(i);
  return out;
}

void head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  fmt::format_to(Out(out), "# HELP {0} [ALPHA] {1}\n# TYPE {0} {2}\n", name, help, type);
}

template <class T>
void single(std::string& out, std::string_view name, std::string_view help, std::string_view type, T value) {
  head(out, name, help, type);
  fmt::format_to(Out(out), "{} {}\n", name, value);
}

void labelled(std::string& out, std::string_view name, std::string_view help, std::string_view type,
              std::string_view label,
              std::initializer_list<std::pair<std::string_view, std::uint64_t>> values) {
  head(out, name, help, type);
  for (const auto& [value, count] : values)
    fmt::format_to(Out(out), "{}{{{}=\"{}\"}} {}\n", name, label, value, count);
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  ++counts_[static_cast<std::size_t>(std::ranges::lower_bound(bounds_, seconds) - bounds_.begin())];
  ++count_;
  sum_ += seconds;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  head(out, name, help, "histogram");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    sum += counts_[i];
    fmt::format_to(Out(out), "{}_bucket{{le=\"{}\"}} {}\n", name, bounds_[i], sum);
  }
  fmt::format_to(Out(out), "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_, sum_);
}

Metrics::Metrics()
    : sync(doubling_bounds()),
      full_sync(doubling_bounds()),
      partial_sync(doubling_bounds()),
      network_programming(programming_bounds()),
      conntrack(doubling_bounds()) {}

std::string Metrics::text() const {
  std::string out;
  sync.write(out, "kubeproxy_sync_proxy_rules_duration_seconds",
             "How long it took to bring the rules up to date");
  full_sync.write(out, "kubeproxy_sync_full_proxy_rules_duration_seconds",
                  "The same, where all rules were replaced");
  partial_sync.write(out, "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                     "The same, where only changes were loaded");
  network_programming.write(out, "kubeproxy_network_programming_duration_seconds",
                            "From the change that an EndpointSlice tells of to its rules");
  single(out, "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
         "When the rules were last brought up to date", "gauge", last_sync_s);
  single(out, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "When a change was last noticed",
         "gauge", last_queued_s);
  single(out, "kubeproxy_sync_proxy_rules_endpoint_changes_total", "Changes of endpoints", "counter",
         endpoint_changes);
  single(out, "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
         "Changes of endpoints that are not in the rules yet", "gauge", endpoint_changes_pending);
  single(out, "kubeproxy_sync_proxy_rules_service_changes_total", "Changes of Services", "counter",
         service_changes);
  single(out, "kubeproxy_sync_proxy_rules_service_changes_pending",
         "Changes of Services that are not in the rules yet", "gauge", service_changes_pending);
  single(out, "kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "Transactions that failed",
         "counter", sync_failures);
  single(out, "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
         "Removals of unused chains that failed", "counter", cleanup_failures);
  labelled(out, "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
           "Ports under policy Local without an endpoint here", "gauge", "traffic_policy",
           {{"internal", static_cast<std::uint64_t>(no_local_internal)},
            {"external", static_cast<std::uint64_t>(no_local_external)}});
  conntrack.write(out, "kubeproxy_conntrack_reconciler_sync_duration_seconds",
                  "How long it took to find and end stale flows");
  single(out, "kubeproxy_conntrack_reconciler_deleted_entries_total", "Stale flows that were ended",
         "counter", conntrack_deleted);
  labelled(out, "kubeproxy_proxy_healthz_total", "Answers of /healthz", "counter", "code",
           {{"200", healthz[0]}, {"503", healthz[1]}});
  labelled(out, "kubeproxy_proxy_livez_total", "Answers of /livez", "counter", "code",
           {{"200", livez[0]}, {"503", livez[1]}});
  return out;
}

PolicyMetrics::PolicyMetrics() : sync(doubling_bounds()) {}

std::string PolicyMetrics::text() const {
  std::string out;
  sync.write(out, "kubeproxy_network_policy_sync_duration_seconds",
             "How long it took to bring the rules of NetworkPolicies up to date");
  single(out, "kubeproxy_network_policy_full_syncs_total", "Replacements of all rules of NetworkPolicies",
         "counter", full_syncs);
  single(out, "kubeproxy_network_policy_sync_failures_total", "Transactions that failed", "counter",
         sync_failures);
  single(out, "kubeproxy_network_policy_changes_total",
         "Changes of policies, Pods and Namespaces that concern policies", "counter", changes);
  single(out, "kubeproxy_network_policy_last_sync_timestamp_seconds",
         "When the rules of NetworkPolicies were last brought up to date", "gauge", last_sync_s);
  single(out, "kubeproxy_network_policy_last_queued_timestamp_seconds",
         "When a change of policies, Pods or Namespaces was last noticed", "gauge", last_queued_s);
  single(out, "kubeproxy_network_policy_synced",
         "1 once this process has loaded the rules of NetworkPolicies", "gauge",
         has_synced ? 1 : 0);
  single(out, "kubeproxy_network_policy_policies", "NetworkPolicies of the cluster", "gauge", policies);
  single(out, "kubeproxy_network_policy_refused_objects",
         "NetworkPolicies and Pods whose rules the kernel does not take: they allow nothing", "gauge",
         refused);
  labelled(out, "kubeproxy_network_policy_isolated_pods", "Pods of the node that a policy isolates", "gauge",
           "direction", {{"ingress", isolated[0]}, {"egress", isolated[1]}});
  labelled(out, "kubeproxy_network_policy_denied_packets_total",
           "Packets that no policy allows, whose Pod was not known yet, or with a source not its Pod's",
           "counter", "reason",
           {{"ingress", denied[0]},
            {"egress", denied[1]},
            {"unknown-pod", denied[2]},
            {"foreign-source", denied[3]}});
  return out;
}

}  // namespace rusternetes::kube_proxy
