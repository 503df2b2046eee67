// The one list of kinds that have a strategy of their own.

#include <map>

#include "api-server/strategy.h"

namespace rusternetes::api_server {

// Each is defined in the kind's own file.
#define RUSTERNETES_STRATEGIES(_)                \
  _("", "events", events)                        \
  _("", "namespaces", namespaces)                \
  _("", "nodes", nodes)                          \
  _("", "pods", pods)                            \
  _("", "secrets", secrets)                      \
  _("", "serviceaccounts", serviceaccounts)      \
  _("", "services", services)                    \
  _("apps", "deployments", deployments)          \
  _("apps", "replicasets", replicasets)          \
  _("coordination.k8s.io", "leases", leases)

#define DECLARE(group, resource, name) const Strategy& name##_strategy();
RUSTERNETES_STRATEGIES(DECLARE)
#undef DECLARE

const Strategy& path_named_strategy();

const Strategy& strategy_for(std::string_view group, std::string_view resource) {
  static const Strategy plain;
  static const auto& table = *new std::map<std::pair<std::string_view, std::string_view>, const Strategy*>{
#define ENTRY(group, resource, name) {{group, resource}, &name##_strategy()},
      RUSTERNETES_STRATEGIES(ENTRY)
#undef ENTRY
  };
  if ((group == "rbac.authorization.k8s.io" || group == "apiregistration.k8s.io") && !table.contains({group, resource})) return path_named_strategy();
  auto found = table.find({group, resource});
  return found == table.end() ? plain : *found->second;
}

}  // namespace rusternetes::api_server
