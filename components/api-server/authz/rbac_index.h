#pragma once
// The RBAC objects at one moment, arranged for decisions: bindings found by subject, roles resolved.
// Immutable; a change makes a new index that takes over the roles whose objects are the same.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/authz/policy_rule.h"
#include "apimachinery/document.h"

namespace rusternetes::api_server {

// Lookup by string_view without making a string.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

struct RbacRole {
  apimachinery::Document document;
  std::vector<PolicyRule> rules;
};

// One binding that applies to a user, and why.
struct RbacGrant {
  std::uint32_t order = 0;               // of the binding: cluster-wide ones first, then by name
  const RbacRole* role = nullptr;        // null: the role does not exist
  const std::string* missing = nullptr;  // then: the error
  const std::string* source = nullptr;   // `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`
};

class RbacIndex {
 public:
  static std::shared_ptr<const RbacIndex> build(const ObjectSource& source, const RbacIndex* previous);

  // Calls `visit(grant)` for each binding and matching subject, until it returns false. Cluster-wide bindings
  // come first, then those of `name_space` unless it is empty. A binding with several matching subjects is
  // visited for each.
  template <class Visit>
  void visit(const User& user, std::string_view name_space, Visit&& visit) const {
    if (!visit_scope(cluster_, user, visit) || name_space.empty()) return;
    if (const auto found = namespaces_.find(name_space); found != namespaces_.end())
      visit_scope(found->second, user, visit);
  }

  // Null when there is none. `name_space` is empty for a ClusterRole.
  const RbacRole* find_role(std::string_view name_space, std::string_view name) const;

 private:
  struct Entry {
    std::uint32_t order;
    std::shared_ptr<const RbacRole> role;
    std::string missing, source;
  };
  // Service accounts stand among the users, by their user names.
  struct Scope {
    TextMap<std::vector<Entry>> users, groups;
  };
  using Roles = TextMap<std::shared_ptr<const RbacRole>>;

  template <class Visit>
  static bool visit_entries(const TextMap<std::vector<Entry>>& map, std::string_view key, Visit& visit) {
    const auto found = map.find(key);
    if (found == map.end()) return true;
    for (const Entry& entry : found->second)
      if (!visit(RbacGrant{entry.order, entry.role.get(), &entry.missing, &entry.source})) return false;
    return true;
  }
  template <class Visit>
  static bool visit_scope(const Scope& scope, const User& user, Visit& visit) {
    if (!visit_entries(scope.users, user.name, visit)) return false;
    for (const std::string& group : user.groups)
      if (!visit_entries(scope.groups, group, visit)) return false;
    return true;
  }

  static Roles load_roles(const ObjectSource& source, std::string_view resource, const Roles* previous);
  void add_binding(Scope& scope, const apimachinery::Document& document, std::string_view kind,
                   std::uint32_t order);

  Roles cluster_roles_;  // by name
  Roles roles_;          // by "namespace/name"
  Scope cluster_;
  TextMap<Scope> namespaces_;
};

inline constexpr std::string_view rbac_group = "rbac.authorization.k8s.io";

}  // namespace rusternetes::api_server
