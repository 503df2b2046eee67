// Containers of all three sorts.

#include <fmt/format.h>

#include <unordered_set>

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;

namespace {

void check_ports(const Container& container, const FieldPath& path, FieldErrorList& errors) {
  TextSet names;
  std::int64_t i = 0;
  for (const auto port : container.ports()) {
    const FieldPath at = path.index(i++);
    if (!port.name().empty()) {
      const auto problems = is_valid_port_name(port.name());
      errors.push_invalid(at.child("name"), port.name(), problems);
      if (problems.empty() && !names.insert(port.name()))
        errors.push_back(field::duplicate(at.child("name"), port.name()));
    }
    if (port.containerPort() == 0)
      errors.push_back(field::required(at.child("containerPort")));
    else
      for (const auto& problem : is_valid_port_num(port.containerPort()))
        errors.push_back(field::invalid(at.child("containerPort"), port.containerPort(), problem));
    if (port.hostPort() != 0)
      for (const auto& problem : is_valid_port_num(port.hostPort()))
        errors.push_back(field::invalid(at.child("hostPort"), port.hostPort(), problem));
    check_enum(port.protocol(), at.child("protocol"), {"SCTP", "TCP", "UDP"}, errors);
  }
}

// Two containers may not want the same port of the host.
class HostPorts {
 public:
  void add(const Container& container, const FieldPath& container_path, FieldErrorList& errors) {
    const FieldPath ports = container_path.child("ports");
    std::int64_t i = -1;
    for (const auto port : container.ports()) {
      ++i;
      if (port.hostPort() == 0) continue;
      std::string key = fmt::format("{}/{}/{}", port.protocol(), port.hostIP(), port.hostPort());
      if (seen_.contains(key))
        errors.push_back(field::duplicate(ports.index(i).child("hostPort"), key));
      else
        seen_.insert(std::move(key));
    }
  }

 private:
  std::unordered_set<std::string> seen_;
};

void check_resize_policy(const Container& container, std::string_view pod_restart_policy, const FieldPath& path,
                         FieldErrorList& errors) {
  TextSet resources;
  std::int64_t i = 0;
  for (const auto policy : container.resizePolicy()) {
    if (!resources.insert(policy.resourceName()))
      errors.push_back(field::duplicate(path.index(i), policy.resourceName()));
    ++i;
    check_enum(policy.resourceName(), path, {"cpu", "memory"}, errors);
    check_enum(policy.restartPolicy(), path, {"NotRequired", "RestartContainer"}, errors);
    if (pod_restart_policy == "Never" && policy.restartPolicy() != "NotRequired")
      errors.push_back(field::invalid(path, policy.restartPolicy(),
                                      "must be 'NotRequired' when `restartPolicy` is 'Never'"));
  }
}

void check_restart_policy(const Container& container, const PodValidationOptions& options, const FieldPath& path,
                          FieldErrorList& errors) {
  const auto rules = container.restartPolicyRules();
  if (!container.has_restartPolicy()) {
    if (rules.empty()) return;
    errors.push_back(
        field::required(path.child("restartPolicy"), "must specify restartPolicy when restart rules are used"));
  } else {
    check_supported(container.restartPolicy(), path.child("restartPolicy"), {"Always", "Never", "OnFailure"}, errors);
  }
  const FieldPath list = path.child("restartPolicyRules");
  if (rules.size() > 20) errors.push_back(field::too_long(list, 20));
  std::int64_t i = 0;
  for (const auto rule : rules) {
    const FieldPath at = list.index(i++), codes_path = at.child("exitCodes");
    const bool is_known = rule.action() == "Restart" || (options.allow_restart_all_containers && rule.action() == "RestartAllContainers");
    if (!is_known) errors.push_back(field::not_supported(at.child("action"), rule.action(), {"Restart"}));
    const auto codes = rule.exitCodes();
    if (!codes) {
      errors.push_back(field::required(codes_path, "must be specified"));
      continue;
    }
    check_supported(codes.operator_(), codes_path.child("operator"), {"In", "NotIn"}, errors);
    if (codes.values().size() > 255) errors.push_back(field::too_long(codes_path.child("values"), 255));
  }
}

void check_init_restart_policy(const Container& container, const PodValidationOptions& options, const FieldPath& path,
                               FieldErrorList& errors) {
  if (container.restartPolicy() == "Always" && !options.allow_restart_all_containers) {
    if (!container.restartPolicyRules().empty())
      errors.push_back(
          field::forbidden(path.child("restartPolicyRules"),
                           "restartPolicyRules are not allowed for init containers with restart policy Always"));
    return;
  }
  check_restart_policy(container, options, path, errors);
}

void check_common(const Container& container, const ContainerContext& context, const FieldPath& path,
                  FieldErrorList& errors) {
  if (container.name().empty())
    errors.push_back(field::required(path.child("name")));
  else
    check_dns_label(container.name(), path.child("name"), errors);
  check_required(container.image(), path.child("image"), errors);
  check_enum(container.terminationMessagePolicy(), path.child("terminationMessagePolicy"),
             {"File", "FallbackToLogsOnError"}, errors);
  check_ports(container, path.child("ports"), errors);
  validate_container_environment(container, path, errors);
  validate_container_mounts(container, context, path, errors);
  validate_pull_policy(container.imagePullPolicy(), path.child("imagePullPolicy"), errors);
  validate_container_resources(container.resources(), context.spec, path.child("resources"), context.options, errors);
  check_resize_policy(container, context.spec.restartPolicy(), path.child("resizePolicy"), errors);
  if (container.securityContext())
    validate_security_context(container.securityContext(), context, path.child("securityContext"), errors);
}

// Of an init container that does not run beside the Pod's own.
void check_no_handlers(const Container& container, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view detail = "may not be set for init containers without restartPolicy=Always";
  if (container.lifecycle()) errors.push_back(field::forbidden(path.child("lifecycle"), detail));
  if (container.livenessProbe()) errors.push_back(field::forbidden(path.child("livenessProbe"), detail));
  if (container.readinessProbe()) errors.push_back(field::forbidden(path.child("readinessProbe"), detail));
  if (container.startupProbe()) errors.push_back(field::forbidden(path.child("startupProbe"), detail));
}

bool has_outer_space(std::string_view text) {
  constexpr std::string_view space = " \t\n\v\f\r";
  return !text.empty() && (space.find(text.front()) != std::string_view::npos || space.find(text.back()) != std::string_view::npos);
}

// Fields of Container that an ephemeral one may not have.
constexpr std::array<std::pair<int, std::string_view>, 9> not_ephemeral{{
    {Container::f_ports, "ports"},
    {Container::f_resources, "resources"},
    {Container::f_resizePolicy, "resizePolicy"},
    {Container::f_restartPolicy, "restartPolicy"},
    {Container::f_restartPolicyRules, "restartPolicyRules"},
    {Container::f_livenessProbe, "livenessProbe"},
    {Container::f_readinessProbe, "readinessProbe"},
    {Container::f_startupProbe, "startupProbe"},
    {Container::f_lifecycle, "lifecycle"},
}};

void check_ephemeral_fields(const Container& container, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view detail = "cannot be set for an Ephemeral Container";
  for (const auto& [field, name] : not_ephemeral) {
    const Value* value = container.value()->get(field);
    if (!value || (field == Container::f_resources && value->size == 0)) continue;
    errors.push_back(field::forbidden(path.child(name), detail));
  }
  const FieldPath mounts = path.child("volumeMounts");
  std::int64_t i = 0;
  for (const auto mount : container.volumeMounts()) {
    if (!mount.subPath().empty()) errors.push_back(field::forbidden(mounts.index(i).child("subPath"), detail));
    if (!mount.subPathExpr().empty()) errors.push_back(field::forbidden(mounts.index(i).child("subPathExpr"), detail));
    ++i;
  }
}

}  // namespace

void validate_pull_policy(std::string_view policy, const FieldPath& path, FieldErrorList& errors) {
  check_enum(policy, path, {"Always", "IfNotPresent", "Never"}, errors);
}

void validate_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors) {
  const auto containers = context.spec.containers();
  if (containers.empty()) {
    errors.push_back(field::required(path));
    return;
  }
  TextSet names;
  HostPorts host_ports;
  std::int64_t i = 0;
  for (const auto container : containers) {
    const FieldPath at = path.index(i++);
    check_common(container, context, at, errors);
    if (!names.insert(container.name())) errors.push_back(field::duplicate(at.child("name"), container.name()));
    if (container.lifecycle()) validate_lifecycle(container.lifecycle(), context, at.child("lifecycle"), errors);
    validate_probes(container, at, errors);
    check_restart_policy(container, context.options, at, errors);
  }
  i = 0;
  for (const auto container : containers) host_ports.add(container, path.index(i++), errors);
}

void validate_init_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors) {
  if (context.spec.initContainers().empty()) return;
  TextSet names;
  for (const auto container : context.spec.containers()) names.insert(container.name());
  std::int64_t i = 0;
  for (const auto container : context.spec.initContainers()) {
    const FieldPath at = path.index(i++);
    check_common(container, context, at, errors);
    check_init_restart_policy(container, context.options, at, errors);
    if (names.contains(container.name()))
      errors.push_back(field::duplicate(at.child("name"), container.name()));
    else if (!container.name().empty())
      names.insert(container.name());
    HostPorts().add(container, path.index(0), errors);  // one container alone, named as the first
    if (container.restartPolicy() != "Always") {
      check_no_handlers(container, at, errors);
      continue;
    }
    if (container.lifecycle()) validate_lifecycle(container.lifecycle(), context, at.child("lifecycle"), errors);
    validate_probes(container, at, errors);
  }
}

void validate_ephemeral_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors) {
  if (context.spec.ephemeralContainers().empty()) return;
  TextSet others, names;
  for (const auto list : {context.spec.containers(), context.spec.initContainers()})
    for (const auto container : list) {
      others.insert(container.name());
      names.insert(container.name());
    }
  std::int64_t i = 0;
  for (const auto ephemeral : context.spec.ephemeralContainers()) {
    const FieldPath at = path.index(i++);
    const Container container(ephemeral.value());
    check_common(container, context, at, errors);
    if (has_outer_space(container.image()))
      errors.push_back(
          field::invalid(at.child("image"), container.image(), "must not have leading or trailing whitespace"));
    if (!names.insert(ephemeral.name())) errors.push_back(field::duplicate(at.child("name"), ephemeral.name()));
    if (!ephemeral.targetContainerName().empty() && !others.contains(ephemeral.targetContainerName()))
      errors.push_back(field::not_found(at.child("targetContainerName"), ephemeral.targetContainerName()));
    check_ephemeral_fields(container, at, errors);
  }
}

}  // namespace rusternetes::api_server
