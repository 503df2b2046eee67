#pragma once
// The decision: policies, Pods and Namespaces, seen from one node, to rules. No I/O, no memory.
//
// Each policy has a chain of what it allows, for each direction. A Pod of the node is one element in a map
// from its link to a chain that all Pods share to which the same policies apply; as a peer it is one element
// in the set of each selector that has it. So a Pod that comes or goes changes elements only.

#include <string>
#include <vector>

#include "kube-proxy/network_policy/name_servers.h"
#include "kube-proxy/network_policy/policy_index.h"
#include "kube-proxy/rule_set.h"
#include "kube-proxy/whole_table.h"

namespace rusternetes::kube_proxy::network_policy {

struct SetElement {
  std::string set, key;
  auto operator<=>(const SetElement&) const = default;
  const std::string& set_name() const { return set; }
  bool is_beside(const SetElement& other) const { return set == other.set; }
  std::size_t hash() const { return std::hash<std::string>()(set) * 31 + std::hash<std::string>()(key); }
  // Of a link over which two Pods differ (their uids' hashes are the same): neither's name decides, it is
  // shut.
  static constexpr const char* kContested = "drop";
};
using PolicyRules = BasicRules<SetElement>;
using PolicyRuleSet = BasicRuleSet<SetElement>;
using PolicyDifference = BasicDifference<SetElement>;

struct PolicySettings {
  std::string cluster;    // names the Pods' links
  std::string node_name;  // whose Pods are protected
  // Beside the node's own: of the host that a node of its own is on, whose processes are as near as the
  // node's.
  std::vector<IpAddress> host_addresses;
  // A connection from there to one of these is one to a NodePort: of whoever came by a published port.
  std::vector<IpAddress> node_addresses;
  bool operator==(const PolicySettings&) const = default;
};

// What a policy brings, whatever Pods there are.
PolicyRules rules_of(const Policy& policy, const NameServers& servers);

struct PodRules {
  PolicyRules rules;
  bool is_isolated[2] = {false, false};  // by Direction
};
// What a Pod brings: as one of the node, and as a peer. `name_space` may be empty: it has no labels then.
PodRules rules_of(const Document& pod, const Document& name_space, const PolicyIndex& policies,
                  const PolicySettings& settings);
// Whether nothing differs that rules_of() reads: most of what a Pod's status tells is of no concern.
bool is_same_to_policies(const Document& before, const Document& now);

// The link of a Pod, on the node's side.
std::string link_of(const Document& pod, const std::string& cluster);

// The table of network policies.
WholeTable policy_table(const std::string& table, const PolicySettings& settings, PolicyRules rules,
                        std::uint64_t mark);
// One transaction that makes a table of these rules, at no hook, and takes it away again: whether it would be
// taken, and nothing else.
std::string trial_policy_transaction(const std::string& table, const PolicyRules& rules);
// Of the table: packets that were denied by ingress, by egress, since their Pod was not known yet, and since
// the Pod has another address than they say.
constexpr const char* kDeniedCounters[] = {"denied-ingress", "denied-egress", "denied-unknown",
                                           "denied-source"};

}  // namespace rusternetes::kube_proxy::network_policy

namespace rusternetes::kube_proxy {
extern template class BasicRuleSet<network_policy::SetElement>;
}
