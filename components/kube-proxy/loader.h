#pragma once
// Brings the kernel's rules to what Services want, in one node's namespace. Everything here blocks: it lives
// on one worker thread, which has entered the namespace.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kube-proxy/kernel_table.h"
#include "kube-proxy/rule_set.h"
#include "kube-proxy/service_rules.h"
#include "kube-proxy/stale_flows.h"
#include "kube-proxy/transaction.h"
#include "network/namespace.h"
#include "network/service_drop.h"

namespace rusternetes::kube_proxy {

// A Service that changed, with all of its slices; an empty document: it is gone.
struct ServiceChange {
  std::string key;  // "namespace/name"
  apimachinery::Document service;
  std::vector<apimachinery::Document> slices;
};

// A port to be served for load balancers that ask where endpoints are.
struct HealthCheck {
  std::uint16_t port = 0;
  int local_endpoints = 0;
  bool operator==(const HealthCheck&) const = default;
};

struct SyncResult {
  bool is_whole = false;  // the table was replaced
  bool has_changed = false;
  std::map<std::string, HealthCheck> health_checks;  // by Service
  int internal_without_local = 0, external_without_local = 0;
  std::optional<KernelTable::Time> sweep_at;  // when sweep() has something to do
  // Flows that were ended, and the time it took, where that was looked at; an error of it fails nothing else.
  std::optional<Result<int>> ended_flows;
  std::chrono::nanoseconds flows_took{};
};

class Loader {
 public:
  // `cluster` names the tables.
  Loader(network::NetworkNamespace where, std::string cluster);
  ~Loader();

  // With settings other than the last, `changes` are all Services. After an error the next call replaces the
  // table.
  Result<SyncResult> sync(const Settings& settings, std::vector<ServiceChange> changes);
  // The next sync() replaces the table, even without changes.
  void forget() { table_.forget(); }
  // Whether what this has loaded still stands, or somebody else has taken all of it away, or all its rules.
  // Keeps the drop rule of the service ranges (network/service_drop.h), too, with these and those it has had.
  // As long as nobody else changes any rule of the namespace, this is one small question to the kernel.
  struct Check {
    bool is_intact = false;
    std::optional<Status> drop_problem;
  };
  Result<Check> check(const std::vector<IpPrefix>& service_ranges);
  // Takes away what nothing has led to for a while; returns when there will be more.
  Result<std::optional<KernelTable::Time>> sweep(KernelTable::Time now) { return table_.sweep(now); }
  // For the other tables of the process in this namespace.
  const std::shared_ptr<NftSession>& session() const { return session_; }

  // The drop rule with these ranges and those that it has, or `drop` has where there is none yet; and what it
  // is then.
  static Result<network::ServiceDrop> widen_drop(const network::NetworkNamespace& where,
                                                 network::ServiceDrop drop,
                                                 const std::vector<IpPrefix>& service_ranges);
  // Removes the table of a cluster's Services (not the drop rule, which is the node's): absent is success.
  static Result<void> cleanup(const network::NetworkNamespace& where, std::string_view cluster);
  static std::string table(std::string_view cluster);

 private:
  struct Known {  // of a Service, beside its rules
    std::vector<UdpService> udp;
    HealthCheck health;
    int internal_without_local = 0, external_without_local = 0;
  };
  Result<void> keep_drop(const std::vector<IpPrefix>& service_ranges);
  StaleFlows decide_all(const Settings& settings, const std::vector<ServiceChange>& changes);
  Result<void> load_whole();
  std::vector<AffinityElement> read_affinity();
  void end_stale(const StaleFlows& stale, SyncResult& out) const;
  void summarise(SyncResult& out) const;

  network::NetworkNamespace where_;
  std::string cluster_;
  std::shared_ptr<NftSession> session_;
  KernelTable table_;
  RuleSet rules_;
  std::map<std::string, Known> known_;
  std::optional<Settings> settings_;
  network::ServiceDrop drop_;               // as it was seen last, and is to be
  std::optional<std::uint64_t> drop_seen_;  // the session's foreign_changes() then
};

}  // namespace rusternetes::kube_proxy
