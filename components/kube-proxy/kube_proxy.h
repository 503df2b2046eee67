#pragma once
// The proxy of one node: watches Services, EndpointSlices and its Node, and keeps the rules of the node's
// namespace as they say. The rules stay when it stops, so that traffic flows while it restarts; the next one
// replaces them at once.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/worker.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "kube-proxy/health_checks.h"
#include "kube-proxy/loader.h"
#include "kube-proxy/metrics.h"
#include "kube-proxy/network_policy/policy_controller.h"
#include "kube-proxy/plain_server.h"
#include "network/namespace.h"

namespace rusternetes::kube_proxy {

struct BindAddress {
  std::string address;
  std::uint16_t port = 0;
  // "0.0.0.0:10256", "[::]:10256", "10256" or an address alone, with the port that is given.
  static Result<BindAddress> parse(std::string_view text, std::uint16_t default_port);
};

struct KubeProxyOptions {
  std::string cluster = "rusternetes";  // names the tables
  std::string node_name;
  // Sources that are Pods: their address is kept on the way to a ClusterIP. Empty: every address is kept.
  std::vector<IpPrefix> pod_cidrs;
  bool uses_node_cidr = false;  // the Node's spec.podCIDRs instead
  bool masquerade_all = false;
  int masquerade_bit = 14;
  // CIDRs, or "primary" alone: the addresses of the Node object. A family without CIDRs, or with one of
  // everything: all addresses of the node but loopback's.
  std::vector<std::string> nodeport_addresses{"primary"};
  // Whose drop rule is kept, beside those of the API's ServiceCIDRs.
  std::vector<IpPrefix> service_ranges;
  std::optional<BindAddress> healthz, metrics;    // none: not served. In the node's namespace.
  std::chrono::milliseconds min_sync_period{20};  // from the beginning of one change of the rules to the next
  std::chrono::milliseconds check_period{3'000};  // for whether the rules still stand
  std::chrono::milliseconds full_sync_period{3'600'000};
  std::chrono::milliseconds health_retry_period{5'000};  // for a healthCheckNodePort that was taken
  // Without, the rules of NetworkPolicies are taken away at the start, and all Pods are open.
  bool network_policy = true;
  // Of the host that the node's namespace is on, as the node sees it: no policy keeps it from the node's
  // Pods.
  std::vector<IpAddress> host_addresses;
  // The node's own, where connections of published ports go: for these the host is like anybody else.
  std::vector<IpAddress> node_addresses;
};

class KubeProxy {
 public:
  // Acts as the identity of `client` (system:kube-proxy), on its executor; rules and sockets are of `node`.
  // `policy_client`, on the same executor, reads Pods, Namespaces and NetworkPolicies (kube-system/
  // network-policy); without one there are no policies.
  KubeProxy(std::unique_ptr<client::ApiClient> client, network::NetworkNamespace node,
            KubeProxyOptions options, std::unique_ptr<client::ApiClient> policy_client = nullptr);
  ~KubeProxy();
  // What cannot be served (a port that is taken) is logged and tried again.
  void start();
  Task<> stop();
  // Before any Pod is there: without this, Pods are open between their start and the first load of a
  // namespace that had no rules yet. Blocks for some milliseconds. Nothing if `options` have no
  // network_policy.
  static Result<void> shut_pods(const network::NetworkNamespace& node, const KubeProxyOptions& options);
  // The same of the drop rule of the service ranges, for as long as the API has not been heard.
  static Result<void> drop_untranslated(const network::NetworkNamespace& node,
                                        const KubeProxyOptions& options);
  // Removes the rules of a cluster's Services and NetworkPolicies: absent is success. After stop().
  static Result<void> cleanup(const network::NetworkNamespace& node, std::string_view cluster);

  bool has_synced() const { return has_synced_ && (!policies_ || policies_->has_synced()); }
  // Everything that was heard of is in the rules.
  bool is_up_to_date() const {
    return has_synced_ && !queued_at_ && (!policies_ || policies_->is_up_to_date());
  }
  const Metrics& metrics() const { return metrics_; }
  // Null without policies.
  const network_policy::PolicyController* policies() const { return policies_.get(); }
  // Of /healthz and /metrics; 0 until it is served.
  std::uint16_t healthz_port() const { return healthz_port_; }
  std::uint16_t metrics_port() const { return metrics_port_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Pending {
    std::set<std::string> services;  // keys whose rules may differ
    std::vector<SystemTime> triggers;
    std::size_t service_changes = 0, endpoint_changes = 0;
    bool is_empty() const { return services.empty(); }
  };
  void on_service(const client::Document& before, const client::Document& now);
  void on_slice(const client::Document& before, const client::Document& now);
  void on_node();
  void queued();
  Task<> run();
  Task<> turn();
  Task<> check();
  Task<> sync();
  Task<> succeeded(SyncResult result, Pending done, Time begin);
  Task<> serve_health_checks();
  void tell_refusal();
  void failed(const Status& why, Pending not_done);
  void tell_name_servers();
  Task<> remove_policies();
  Task<> watch_events();
  Task<> keep_serving();
  void serve(std::unique_ptr<PlainServer>& server, const std::optional<BindAddress>& where, const char* name,
             std::uint16_t& port, std::function<Answer(std::string)> answer);
  Answer healthz(const std::string& path);
  bool is_healthy() const;
  bool is_eligible() const;
  Settings settings() const;
  client::Document node() const;
  std::vector<IpPrefix> service_ranges() const;
  std::vector<std::string> listen_addresses() const;
  std::vector<ServiceChange> changes_of(const std::set<std::string>& keys) const;
  Time next_time() const;

  std::unique_ptr<client::ApiClient> client_, policy_client_;
  network::NetworkNamespace node_;
  KubeProxyOptions options_;
  client::Informer services_, slices_, nodes_, service_cidrs_;
  client::EventRecorder events_;
  Metrics metrics_;
  Loader loader_;
  std::unique_ptr<network_policy::PolicyController> policies_;
  WorkerThread worker_;  // after the loaders, which are its own alone
  HealthChecks health_checks_;
  std::unique_ptr<PlainServer> healthz_server_, metrics_server_;
  std::uint16_t healthz_port_ = 0, metrics_port_ = 0;
  std::string serving_problem_, check_problem_, told_refusal_;
  std::map<std::string, HealthCheck> health_;           // as is wanted, by Service
  std::map<std::string, std::string> health_problems_;  // of those that are not served

  Pending pending_;
  std::optional<Pending> in_flight_;  // what the worker has
  bool all_due_ = true;               // every Service, as the settings are new
  bool whole_due_ = false;            // the table
  bool check_due_ = true;
  bool has_synced_ = false;
  int failures_ = 0;
  std::optional<Settings> used_settings_;
  std::optional<Time> sweep_at_, retry_at_, queued_at_, retry_health_at_;
  Time check_at_{}, full_at_{};
  SystemTime last_updated_{};
  AsyncEvent wake_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::kube_proxy
