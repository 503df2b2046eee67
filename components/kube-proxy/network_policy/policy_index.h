#pragma once
// All policies of the cluster, in the order in which a Pod asks for them: which select it, and which have it
// among their peers.

#include <map>
#include <memory>
#include <string>

#include "kube-proxy/network_policy/policy.h"

namespace rusternetes::kube_proxy::network_policy {

class PolicyIndex {
 public:
  using PolicyPtr = std::shared_ptr<const Policy>;
  struct Counted {
    PodSelection selection;
    std::size_t uses = 0;
  };
  using Selections = std::map<std::string, Counted, std::less<>>;  // by id
  using Names = std::map<NamedPort, std::size_t>;

  // Null takes it out. `key` is "namespace/name".
  void set(const std::string& key, PolicyPtr policy);
  PolicyPtr get(const std::string& key) const;
  const std::map<std::string, PolicyPtr>& all() const { return policies_; }

  // Of one namespace, by key.
  const std::map<std::string, PolicyPtr>& in(std::string_view name_space) const;
  // Peers of the namespace's own policies, and those that go by labels of namespaces.
  const Selections& selections_in(std::string_view name_space) const;
  const Selections& wide_selections() const { return wide_.selections; }
  // Names of ports whose numbers in the Pods of the namespace, or in all Pods, are asked for.
  const Names& names_in(std::string_view name_space) const;
  const Names& wide_names() const { return wide_.names; }

 private:
  struct Scope {
    std::map<std::string, PolicyPtr> policies;
    Selections selections;
    Names names;
  };
  void count(const Policy& policy, bool is_added);
  const Scope* scope(std::string_view name_space) const;

  std::map<std::string, PolicyPtr> policies_;
  std::map<std::string, Scope, std::less<>> scopes_;
  Scope wide_;
};

}  // namespace rusternetes::kube_proxy::network_policy
