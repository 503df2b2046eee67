#pragma once
// NetworkPolicies of the Pods of one node: watches policies, Pods and Namespaces of the whole cluster and
// keeps the rules as they say. A part of the proxy, on its executor, its worker thread and its view of the
// kernel, but under an identity of its own, since the proxy's may not read these.

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/worker.h"
#include "client/informer.h"
#include "kube-proxy/metrics.h"
#include "kube-proxy/network_policy/policy_loader.h"

namespace rusternetes::kube_proxy::network_policy {

struct PolicyOptions {
  PolicySettings settings;
  std::chrono::milliseconds min_sync_period{20};
  std::chrono::milliseconds check_period{3'000};
  std::chrono::milliseconds full_sync_period{3'600'000};
};

class PolicyController {
 public:
  // The worker is in the node's namespace; it and the client outlive this.
  PolicyController(client::ApiClient& client, WorkerThread& worker, std::shared_ptr<NftSession> session,
                   PolicyOptions options);
  ~PolicyController();
  void start();
  Task<> stop();
  // Some rule of the namespace has changed.
  void check_soon();
  // The Service of name servers and its slices, as they are now. Nothing is loaded before the first call.
  void set_name_servers(Document service, std::vector<Document> slices);

  bool has_synced() const { return has_synced_; }
  // Why the client's identity may not read what is needed; empty: it may, or it is not known yet.
  const std::string& refusal() const { return refusal_; }
  bool is_up_to_date() const { return has_synced_ && pending_.is_empty() && !in_flight_; }
  const PolicyMetrics& metrics() const { return metrics_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Pending {
    std::set<std::string> policies, pods;  // keys
    std::set<std::string> namespaces;      // all of whose Pods may differ
    bool has_all_pods = false, has_name_servers = false;
    bool is_empty() const {
      return policies.empty() && pods.empty() && namespaces.empty() && !has_all_pods && !has_name_servers;
    }
  };
  void on_policy(const Document& before, const Document& now);
  void on_pod(const Document& before, const Document& now);
  void on_namespace(const Document& before, const Document& now);
  void queued();
  Task<> run();
  Task<> watch_refusal();
  Task<std::string> ask_refusal();
  Task<> turn();
  Task<> check();
  Task<> sync();
  void succeeded(const PolicySyncResult& result, Time begin);
  void failed(const Status& why);
  Changes changes_of(const Pending& pending) const;
  Time next_time() const;

  PolicyOptions options_;
  client::ApiClient& client_;
  WorkerThread& worker_;
  client::Informer policies_, pods_, namespaces_;
  PolicyLoader loader_;  // the worker's alone
  PolicyMetrics metrics_;
  Document name_server_service_;
  std::vector<Document> name_server_slices_;
  Pending pending_;
  std::optional<Pending> in_flight_;  // what the worker has
  bool knows_name_servers_ = false;
  bool whole_due_ = true, check_due_ = true;
  bool has_synced_ = false;
  int failures_ = 0;
  std::string check_problem_, refusal_;
  std::optional<Time> sweep_at_, retry_at_;
  Time check_at_{}, full_at_{};
  AsyncEvent wake_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::kube_proxy::network_policy
