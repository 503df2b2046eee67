// The one list of kinds that have a strategy of their own.

#include <map>
#include <set>

#include "api-server/strategy.h"

namespace rusternetes::api_server {

// Each is defined in the kind's own file.
#define RUSTERNETES_STRATEGIES(_)                                             \
  _("", "configmaps", configmaps)                                             \
  _("", "endpoints", endpoints)                                               \
  _("", "events", events)                                                     \
  _("", "namespaces", namespaces)                                             \
  _("", "nodes", nodes)                                                       \
  _("", "pods", pods)                                                         \
  _("", "secrets", secrets)                                                   \
  _("", "serviceaccounts", serviceaccounts)                                   \
  _("", "services", services)                                                 \
  _("apiregistration.k8s.io", "apiservices", path_named)                      \
  _("apps", "deployments", deployments)                                       \
  _("apps", "replicasets", replicasets)                                       \
  _("autoscaling", "horizontalpodautoscalers", horizontalpodautoscalers)      \
  _("coordination.k8s.io", "leases", leases)                                  \
  _("discovery.k8s.io", "endpointslices", endpointslices)                     \
  _("events.k8s.io", "events", new_events)                                    \
  _("networking.k8s.io", "ipaddresses", ipaddresses)                          \
  _("networking.k8s.io", "networkpolicies", networkpolicies)                  \
  _("networking.k8s.io", "servicecidrs", servicecidrs)                        \
  _("rbac.authorization.k8s.io", "clusterrolebindings", clusterrolebindings)  \
  _("rbac.authorization.k8s.io", "clusterroles", clusterroles)                \
  _("rbac.authorization.k8s.io", "rolebindings", rolebindings)                \
  _("rbac.authorization.k8s.io", "roles", roles)                              \
  _("scheduling.k8s.io", "priorityclasses", priorityclasses)

#define DECLARE(group, resource, name) const Strategy& name##_strategy();
RUSTERNETES_STRATEGIES(DECLARE)
#undef DECLARE

namespace {

// Of kinds without a strategy of their own, those whose DELETE answers with the object.
class ShownWhenDeleted final : public Strategy {
 public:
  bool returns_deleted_object() const override { return true; }
};

// Those whose generation rises with their spec (each kind's strategy.go).
class WithGeneration : public Strategy {
 public:
  bool has_generation() const override { return true; }
};
class DisruptionBudgets final : public WithGeneration {
 public:
  bool allows_unconditional_update() const override { return false; }
};

const Strategy& shared_strategy(std::string_view group, std::string_view resource) {
  static const Strategy plain;
  static const ShownWhenDeleted shown;
  static const std::set<std::pair<std::string_view, std::string_view>> shown_kinds{
      {"", "persistentvolumeclaims"}, {"", "persistentvolumes"}, {"", "podtemplates"}, {"", "resourcequotas"},
      {"resource.k8s.io", "deviceclasses"}, {"resource.k8s.io", "resourceclaims"},
      {"resource.k8s.io", "resourceclaimtemplates"}, {"resource.k8s.io", "resourceslices"},
      {"storage.k8s.io", "csidrivers"}, {"storage.k8s.io", "csinodes"}, {"storage.k8s.io", "storageclasses"},
      {"storage.k8s.io", "volumeattachments"}, {"storage.k8s.io", "volumeattributesclasses"}};
  if (shown_kinds.contains({group, resource})) return shown;
  static const WithGeneration with_generation;
  static const std::set<std::pair<std::string_view, std::string_view>> kinds_with_generation{
      {"", "replicationcontrollers"}, {"apps", "daemonsets"}, {"apps", "statefulsets"}, {"batch", "cronjobs"},
      {"batch", "jobs"}, {"networking.k8s.io", "ingresses"},
      {"flowcontrol.apiserver.k8s.io", "flowschemas"}, {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"},
      {"admissionregistration.k8s.io", "validatingadmissionpolicies"},
      {"admissionregistration.k8s.io", "validatingadmissionpolicybindings"}};
  if (kinds_with_generation.contains({group, resource})) return with_generation;
  static const DisruptionBudgets budgets;
  if (group == "policy" && resource == "poddisruptionbudgets") return budgets;
  return plain;
}

}  // namespace

const Strategy& strategy_for(std::string_view group, std::string_view resource) {
  static const auto& table = *new std::map<std::pair<std::string_view, std::string_view>, const Strategy*>{
#define ENTRY(group, resource, name) {{group, resource}, &name##_strategy()},
      RUSTERNETES_STRATEGIES(ENTRY)
#undef ENTRY
  };
  const auto found = table.find({group, resource});
  return found == table.end() ? shared_strategy(group, resource) : *found->second;
}

}  // namespace rusternetes::api_server
