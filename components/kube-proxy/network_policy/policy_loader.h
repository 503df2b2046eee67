#pragma once
// Brings the kernel's rules of network policies to what the API has. Blocks: it lives on the proxy's worker
// thread, beside the Loader of Services.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kube-proxy/kernel_table.h"
#include "kube-proxy/network_policy/policy_rules.h"
#include "kube-proxy/network_policy/refused_rules.h"

namespace rusternetes::kube_proxy::network_policy {

// Empty documents: they are gone.
struct PolicyChange {
  std::string key;
  Document policy;
};
struct PodChange {
  std::string key;
  Document pod, name_space;
};
struct Changes {
  std::vector<PolicyChange> policies;
  // Those that changed, and those that a changed policy or Namespace may have or lose.
  std::vector<PodChange> pods;
  std::optional<NameServers> name_servers;
};

struct PolicySyncResult {
  bool is_whole = false, has_changed = false;
  std::optional<KernelTable::Time> sweep_at;  // when sweep() has something to do
  std::size_t policies = 0;
  std::size_t refused = 0;  // policies and Pods whose rules the kernel does not take
  std::size_t isolated[2] = {0, 0};  // Pods of the node, by Direction
};

class PolicyLoader {
 public:
  PolicyLoader(std::shared_ptr<NftSession> session, PolicySettings settings);

  // After an error the next call replaces the table. Whoever's rules the kernel does not take then is left
  // out (refused_rules.h) until it changes, and logged.
  Result<PolicySyncResult> sync(Changes changes);
  void forget() { table_.forget(); }  // the next sync() replaces the table
  Result<bool> is_intact() { return table_.is_intact(); }
  Result<std::optional<KernelTable::Time>> sweep(KernelTable::Time now) { return table_.sweep(now); }
  // Packets denied since this began, in the order of kDeniedCounters.
  Result<std::vector<std::uint64_t>> denied();

  static std::string table(std::string_view cluster);
  // In a namespace without the table: one that knows no Pod, so that none is reached before its policies are
  // known. For the time before the first sync().
  static Result<void> shut(const network::NetworkNamespace& where, const PolicySettings& settings);
  static Result<void> cleanup(const network::NetworkNamespace& where, std::string_view cluster) {
    return KernelTable::remove(where, table(cluster));
  }

 private:
  // An owner whose rules in rules_ are others than it wants.
  struct Held {
    PolicyRules wanted;
    bool is_refused = false;  // else it is without what refused ones lack
  };
  void decide(const Changes& changes);
  void put(const std::string& owner, PolicyRules rules);
  void replace(std::map<std::string, PolicyRules> owners);
  Result<bool> load_whole();
  Result<bool> load_all();
  bool leave_out_refused();
  Result<std::vector<std::uint64_t>> read_counters();

  PolicySettings settings_;
  std::shared_ptr<NftSession> session_;
  KernelTable table_;
  PolicyIndex policies_;
  NameServers name_servers_;
  PolicyRuleSet rules_;
  std::map<std::string, Held> held_;  // by owner
  std::set<std::string> absent_;      // Refused::absent
  std::map<std::string, std::pair<bool, bool>> isolated_;  // Pods of the node, by key
  std::vector<std::uint64_t> denied_before_;  // by tables that were made anew
};

}  // namespace rusternetes::kube_proxy::network_policy
