#pragma once
// What to load where the kernel does not take the rules of some owner, a policy or a Pod: everything else, so
// that one object that nobody has foreseen keeps no other's changes from the node. It fails closed: what a
// refused policy would allow stays forbidden, and a refused Pod is shut.

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/status.h"
#include "kube-proxy/network_policy/policy_rules.h"

namespace rusternetes::kube_proxy::network_policy {

constexpr const char* kPolicyOwner = "policy/";  // the rest of an owner's name is the object's key
constexpr const char* kPodOwner = "pod/";

struct StandIn {
  PolicyRules rules;  // in the place of the owner's
  std::string why;    // what the kernel said
};

struct Refused {
  std::map<std::string, StandIn> owners;
  // Sets and chains of refused policies that are not there at all: Pods' rules are to be without() them.
  std::set<std::string> absent;
};

// `try_rules`: whether a table of these rules, and no others, is taken. Asked some 2 log2(owners) times for
// each that is refused. Nothing is found where the rules are not at fault, or not those of single owners.
Refused find_refused(const std::map<std::string, PolicyRules>& owners,
                     const std::function<Result<void>(const PolicyRules&)>& try_rules);

// A Pod's rules with no element of those sets, and no jump to those chains.
PolicyRules without(PolicyRules rules, const std::set<std::string>& absent);

}  // namespace rusternetes::kube_proxy::network_policy
