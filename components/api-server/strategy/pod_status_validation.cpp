// What a kubelet may write into a Pod's status.

#include <fmt/format.h>

#include <algorithm>

#include "api-server/strategy/pod_annotations.h"
#include "apimachinery/cidr.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::ContainerStatus;
using core_v1::PodSpec;

namespace {

void check_conditions(const core::Pod& pod, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto condition : pod.status().conditions()) {
    const FieldPath at = path.index(i++);
    if (condition.observedGeneration() < 0)
      errors.push_back(field::invalid(at.child("observedGeneration"), condition.observedGeneration(), "must be a non-negative integer"));
    if (!is_any_of(condition.type(), {"PodScheduled", "Ready", "Initialized"}))
      check_qualified_name(condition.type(), at.child("Type"), errors);
  }
}

// Whether a container that ended so would be started again.
bool would_restart(const Container& container, const PodSpec& spec, std::int64_t exit_code) {
  std::string_view policy = spec.restartPolicy();
  if (container.has_restartPolicy()) {
    for (const auto rule : container.restartPolicyRules()) {
      const auto codes = rule.exitCodes();
      if (!codes) continue;
      const auto values = codes.values();
      const bool is_in = std::any_of(values.begin(), values.end(), [&](std::int64_t v) { return v == exit_code; });
      if ((codes.operator_() == "In") != is_in) continue;
      if (rule.action() == "Restart") return true;
      break;
    }
    if (is_any_of(container.restartPolicy(), {"Always", "OnFailure", "Never"})) policy = container.restartPolicy();
  }
  if (policy == "Never") return false;
  return policy != "OnFailure" || exit_code != 0;
}

// What has terminated for good does not run again. `containers` may be empty: none of them restarts.
void check_transitions(const ListView<ContainerStatus>& now, const ListView<ContainerStatus>& then,
                       const ListView<Container>& containers, const PodSpec& spec, const FieldPath& path,
                       FieldErrorList& errors) {
  std::int64_t i = -1;
  for (const auto old : then) {
    ++i;
    const auto terminated = old.state().terminated();
    if (!terminated) continue;
    for (const auto status : now) {
      if (status.name() != old.name() || status.state().terminated()) continue;
      bool is_allowed = false;
      for (const auto container : containers)
        if (container.name() == old.name()) {
          is_allowed = would_restart(container, spec, terminated.exitCode());
          break;
        }
      if (!is_allowed)
        errors.push_back(field::forbidden(path.index(i).child("state"), "may not be transitioned to non-terminated state"));
      break;
    }
  }
}

// podIPs or hostIPs: at most one of each family.
template <class List>
void check_addresses(const List& list, const List& old, const FieldPath& path, const Value* shown, const Type& type,
                     FieldErrorList& errors) {
  std::int64_t i = 0;
  bool has_v4 = false, has_v6 = false;
  for (const auto one : list) {
    const FieldPath at = path.index(i++);
    const bool is_old = std::any_of(old.begin(), old.end(), [&](const auto& before) { return before.ip() == one.ip(); });
    if (!is_old) errors.push_invalid(at, one.ip(), is_valid_ip_legacy(one.ip()));
    if (const auto ip = IpAddress::parse_sloppy(one.ip())) (ip->is_v4() ? has_v4 : has_v6) = true;
  }
  if (list.size() < 2 || (list.size() == 2 && has_v4 && has_v6)) return;
  std::string json;
  encode_json(json, *shown, type);
  errors.push_back(field::invalid(path, BadValue::json(json), "may specify no more than one IP for each IP family"));
}

void check_pod_addresses(const core::Pod& pod, const core::Pod& old, const FieldPath& path, FieldErrorList& errors) {
  using core_v1::PodStatus;
  const auto status = pod.status(), before = old.status();
  const auto& fields = PodStatus::schema_type().fields;
  check_addresses(status.podIPs(), before.podIPs(), path.child("podIPs"),
                  status.value() ? status.value()->get(PodStatus::f_podIPs) : nullptr, *fields[PodStatus::f_podIPs].type, errors);
  const auto host = status.hostIPs();
  if (host.empty()) return;
  const FieldPath host_path = path.child("hostIPs");
  if (status.hostIP() != host[0].ip())
    errors.push_back(field::invalid(host_path.index(0).child("ip"), host[0].ip(), "must be equal to `hostIP`"));
  check_addresses(host, before.hostIPs(), host_path, status.value()->get(PodStatus::f_hostIPs), *fields[PodStatus::f_hostIPs].type, errors);
}

void check_users(const ListView<ContainerStatus>& statuses, const PodSpec& spec, const FieldPath& path,
                 FieldErrorList& errors) {
  const bool is_windows = spec.os().name() == "windows";
  std::int64_t i = -1;
  for (const auto status : statuses) {
    ++i;
    const auto user = status.user().linux();
    if (!user) continue;
    const FieldPath item = path.index(i), user_path = item.child("user"), at = user_path.child("linux");
    if (is_windows) {
      errors.push_back(field::forbidden(at, "cannot be set for a windows pod"));
      continue;
    }
    for (const auto& problem : is_valid_user_id(user.uid())) errors.push_back(field::invalid(at.child("uid"), user.uid(), problem));
    for (const auto& problem : is_valid_group_id(user.gid())) errors.push_back(field::invalid(at.child("gid"), user.gid(), problem));
    const FieldPath groups = at.child("supplementalGroups");
    std::int64_t n = 0;
    for (const std::int64_t group : user.supplementalGroups()) {
      for (const auto& problem : is_valid_group_id(group)) errors.push_back(field::invalid(groups.index(n), group, problem));
      ++n;
    }
  }
}

void check_claim_statuses(const core::Pod& pod, const FieldPath& path, FieldErrorList& errors) {
  TextSet seen;
  std::int64_t i = 0;
  for (const auto status : pod.status().resourceClaimStatuses()) {
    const FieldPath at = path.index(i++), name_path = at.child("name");
    bool is_known = false;
    for (const auto claim : pod.spec().resourceClaims()) is_known |= claim.name() == status.name();
    if (!is_known)
      errors.push_back(field::invalid(name_path, status.name(), "must match the name of an entry in `spec.resourceClaims`"));
    if (!seen.insert(status.name())) errors.push_back(field::duplicate(name_path, status.name()));
    if (status.has_resourceClaimName()) check_dns_subdomain(status.resourceClaimName(), name_path, errors);
  }
}

}  // namespace

void validate_pod_status_update(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                                FieldErrorList& errors) {
  const FieldPath metadata("metadata"), path("status");
  const auto now = pod.status(), then = old.status();
  const PodSpec spec = old.spec();
  validate_pod_annotation_updates(pod, old, metadata.child("annotations"), errors);
  validate_pod_annotations(pod.metadata().annotations(), pod.spec(), metadata.child("annotations"), options, errors);
  check_conditions(pod, path.child("conditions"), errors);
  if (now.nominatedNodeName() != then.nominatedNodeName() && !now.nominatedNodeName().empty()) {
    check_dns_subdomain(now.nominatedNodeName(), path.child("nominatedNodeName"), errors);
    if (!spec.nodeName().empty())
      errors.push_back(field::forbidden(path.child("nominatedNodeName"), "may not be set on pods that are already bound to a node"));
  }
  if (now.observedGeneration() < 0)
    errors.push_back(field::invalid(path.child("observedGeneration"), now.observedGeneration(), "must be a non-negative integer"));
  if (now.qosClass() != then.qosClass())
    errors.push_back(field::invalid(path.child("qosClass"), now.qosClass(), field_is_immutable));
  const FieldPath containers = path.child("containerStatuses"), init_containers = path.child("initContainerStatuses"),
                  ephemeral = path.child("ephemeralContainerStatuses");
  check_transitions(now.containerStatuses(), then.containerStatuses(), spec.containers(), spec, containers, errors);
  check_transitions(now.initContainerStatuses(), then.initContainerStatuses(), spec.initContainers(), spec, init_containers, errors);
  check_transitions(now.ephemeralContainerStatuses(), then.ephemeralContainerStatuses(), {}, spec, ephemeral, errors);
  check_claim_statuses(pod, path.child("resourceClaimStatuses"), errors);
  check_pod_addresses(pod, old, path, errors);
  check_users(now.containerStatuses(), pod.spec(), containers, errors);
  check_users(now.initContainerStatuses(), pod.spec(), init_containers, errors);
  check_users(now.ephemeralContainerStatuses(), pod.spec(), ephemeral, errors);
}

}  // namespace rusternetes::api_server
