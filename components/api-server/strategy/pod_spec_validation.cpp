#include <fmt/format.h>

#include "api-server/strategy/pod_validation.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

BadValue list_json(const TextList& list) {
  std::string json = "[";
  for (const auto item : list) json += fmt::format("{}\"{}\"", json.size() > 1 ? "," : "", item);
  return BadValue::json(json + "]");
}

void check_dns_config(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const auto config = spec.dnsConfig();
  if (spec.dnsPolicy() == "None") {
    if (!config) {
      errors.push_back(field::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
      return;
    }
    if (config.nameservers().empty()) {
      errors.push_back(field::required(path.child("nameservers"),
                                       "must provide at least one DNS nameserver when `dnsPolicy` is None"));
      return;
    }
  }
  if (!config) return;
  const FieldPath servers = path.child("nameservers"), searches = path.child("searches"), options = path.child("options");
  if (config.nameservers().size() > 3)
    errors.push_back(field::invalid(servers, list_json(config.nameservers()), "must not have more than 3 nameservers"));
  std::int64_t i = 0;
  for (const auto server : config.nameservers()) errors.push_invalid(servers.index(i++), server, is_valid_ip_legacy(server));
  if (config.searches().size() > 32)
    errors.push_back(field::invalid(searches, list_json(config.searches()), "must not have more than 32 search paths"));
  std::size_t length = 0;
  for (const auto search : config.searches()) length += search.size() + 1;
  if (length > 2048 + 1)
    errors.push_back(field::invalid(searches, list_json(config.searches()),
                                    "must not have more than 2048 characters (including spaces) in the search list"));
  i = 0;
  for (auto search : config.searches()) {
    const FieldPath at = searches.index(i++);
    if (search == ".") continue;
    if (search.ends_with('.')) search.remove_suffix(1);
    errors.push_invalid(at, search, is_dns1123_subdomain_with_underscore(search));
  }
  i = 0;
  for (const auto option : config.options()) {
    if (option.name().empty()) errors.push_back(field::required(options.index(i), "must not be empty"));
    ++i;
  }
}

void check_gates(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath readiness = path.child("readinessGates"), scheduling = path.child("schedulingGates");
  std::int64_t i = 0;
  for (const auto gate : spec.readinessGates())
    check_qualified_name(gate.conditionType(), readiness.index(i++).child("conditionType"), errors);
  TextSet seen;
  i = 0;
  for (const auto gate : spec.schedulingGates()) {
    const FieldPath at = scheduling.index(i++);
    check_qualified_name(gate.name(), at, errors);
    if (!seen.insert(gate.name())) errors.push_back(field::duplicate(at, gate.name()));
  }
}

void check_resource_claims(const core::PodSpec& spec, const ObjectMeta& metadata, const FieldPath& path,
                           FieldErrorList& errors) {
  TextSet names;
  std::int64_t i = 0;
  for (const auto claim : spec.resourceClaims()) {
    const FieldPath at = path.index(i++);
    if (metadata.annotations().contains("kubernetes.io/config.mirror")) {
      errors.push_back(field::forbidden(FieldPath(""), "static pods do not support resource claims"));
      continue;
    }
    if (claim.name().empty()) {
      errors.push_back(field::required(at.child("name")));
    } else if (names.contains(claim.name())) {
      errors.push_back(field::duplicate(at.child("name"), claim.name()));
    } else {
      check_dns_label(claim.name(), at.child("name"), errors);
      names.insert(claim.name());
    }
    const bool by_name = claim.has_resourceClaimName(), by_template = claim.has_resourceClaimTemplateName();
    std::string json;
    if (by_name == by_template) encode_json(json, *claim.value(), core::PodResourceClaim::schema_type());
    if (by_name && by_template)
      errors.push_back(field::invalid(at, BadValue::json(json), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"));
    if (!by_name && !by_template)
      errors.push_back(field::invalid(at, BadValue::json(json), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    if (by_name) check_dns_subdomain(claim.resourceClaimName(), at.child("resourceClaimName"), errors);
    if (by_template) check_dns_subdomain(claim.resourceClaimTemplateName(), at.child("resourceClaimTemplateName"), errors);
  }
}

void check_host_network_ports(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                              FieldErrorList& errors) {
  if (!spec.hostNetwork()) return;
  const FieldPath containers = path.child("containers");
  std::int64_t i = 0;
  for (const auto container : spec.containers()) {
    const FieldPath at = containers.index(i++), ports = at.child("ports");
    std::int64_t n = 0;
    for (const auto port : container.ports()) {
      if ((options.is_pod || port.hostPort() != 0) && port.hostPort() != port.containerPort())
        errors.push_back(field::invalid(ports.index(n).child("hostPort"), port.hostPort(),
                                        "must match `containerPort` when `hostNetwork` is true"));
      ++n;
    }
  }
}

void check_user_namespace(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                          FieldErrorList& errors) {
  if (spec.hostUsers(true)) return;
  constexpr std::string_view detail = "when `hostUsers` is false";
  if (spec.hostNetwork() && !options.allow_host_network_in_user_namespace)
    errors.push_back(field::forbidden(path.child("hostNetwork"), detail));
  if (spec.hostPID()) errors.push_back(field::forbidden(path.child("HostPID"), detail));
  if (spec.hostIPC()) errors.push_back(field::forbidden(path.child("HostIPC"), detail));
  if (options.allow_devices_in_user_namespace) return;
  each_container(spec, path, [&](const core::Container& container, const FieldPath& at) {
    if (!container.volumeDevices().empty()) errors.push_back(field::forbidden(at.child("volumeDevices"), detail));
    return true;
  });
}

void check_hostname_override(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  if (!spec.has_hostnameOverride()) return;
  const FieldPath at = path.child("hostnameOverride");
  if (spec.setHostnameAsFQDN())
    errors.push_back(field::forbidden(at, "may not be specified when setHostnameAsFQDN is true"));
  if (spec.hostNetwork()) errors.push_back(field::forbidden(at, "may not be specified when hostNetwork is true"));
  if (spec.hostnameOverride().size() > 64) errors.push_back(field::too_long(at, 64));
  check_dns_subdomain(spec.hostnameOverride(), at, errors);
}

void check_names(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const auto subdomain = [&](std::string_view value, std::string_view name) {
    if (!value.empty()) check_dns_subdomain(value, path.child(name), errors);
  };
  const auto label = [&](std::string_view value, std::string_view name) {
    if (!value.empty()) check_dns_label(value, path.child(name), errors);
  };
  subdomain(spec.serviceAccountName(), "serviceAccountName");
  subdomain(spec.nodeName(), "nodeName");
  if (spec.has_activeDeadlineSeconds()) {
    const std::int64_t seconds = spec.activeDeadlineSeconds();
    if (seconds < 1 || seconds > max_int32)
      errors.push_back(field::invalid(path.child("activeDeadlineSeconds"), seconds, inclusive_range_message(1, max_int32)));
  }
  label(spec.hostname(), "hostname");
  label(spec.subdomain(), "subdomain");
}

void check_host_aliases(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto alias : spec.hostAliases()) {
    const FieldPath at = path.index(i++), hostnames = at.child("hostnames");
    errors.push_invalid(at.child("ip"), alias.ip(), is_valid_ip_legacy(alias.ip()));
    std::int64_t n = 0;
    for (const auto name : alias.hostnames()) check_dns_subdomain(name, hostnames.index(n++), errors);
  }
}

void check_file_key_volumes(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  each_container(spec, path, [&](const core::Container& container, const FieldPath& container_path) {
    const FieldPath env = container_path.child("env");
    std::int64_t i = -1;
    for (const auto variable : container.env()) {
      ++i;
      const auto reference = variable.valueFrom().fileKeyRef();
      if (!reference) continue;
      core::Volume found;
      for (const auto volume : spec.volumes())
        if (volume.name() == reference.volumeName()) found = volume;
      const FieldPath item = env.index(i), source = item.child("valueFrom"), key = source.child("fileKeyRef");
      if (!found)
        errors.push_back(field::not_found(key.child("volumeName"), reference.volumeName()));
      else if (!found.emptyDir())
        errors.push_back(field::invalid(key.child("volumeName"), reference.volumeName(), "referenced volume must be of type emptyDir"));
    }
    return true;
  });
}

// Classes and policies that stand alone.
void check_classes(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                   FieldErrorList& errors) {
  if (!spec.priorityClassName().empty()) check_dns_subdomain(spec.priorityClassName(), path.child("priorityClassName"), errors);
  if (spec.has_runtimeClassName()) check_dns_subdomain(spec.runtimeClassName(), path.child("runtimeClassName"), errors);
  if (spec.has_preemptionPolicy())
    check_enum(spec.preemptionPolicy(), path.child("preemptionPolicy"), {"PreemptLowerPriority", "Never"}, errors);
  if (!spec.overhead().empty()) validate_resource_limits(spec.overhead(), path.child("overhead"), options, errors);
}

void check_image_space(const ListView<core::Container>& containers, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view space = " \t\n\v\f\r";
  std::int64_t i = 0;
  for (const auto container : containers) {
    const std::string_view image = container.image();
    if (!image.empty() && (space.find(image.front()) != std::string_view::npos || space.find(image.back()) != std::string_view::npos))
      errors.push_back(field::invalid(path.index(i).child("image"), image, "must not have leading or trailing whitespace"));
    ++i;
  }
}

void check_tokens_without_account(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  if (!spec.serviceAccountName().empty()) return;
  const FieldPath volumes = path.child("volumes");
  std::int64_t i = 0;
  for (const auto volume : spec.volumes()) {
    const FieldPath at = volumes.index(i++), projected = at.child("projected"), sources = projected.child("sources");
    std::int64_t n = 0;
    for (const auto source : volume.projected().sources()) {
      if (source.serviceAccountToken())
        errors.push_back(field::forbidden(sources.index(n).child("serviceAccountToken"),
                                          "must not be specified when serviceAccountName is not set"));
      ++n;
    }
  }
}

}  // namespace

void validate_pod_spec(const core::PodSpec& spec, const ObjectMeta& metadata, const FieldPath& path,
                       const PodValidationOptions& options, FieldErrorList& errors) {
  if (!spec.has_terminationGracePeriodSeconds())
    errors.push_back(field::required(path.child("terminationGracePeriodSeconds")));
  const VolumeNames volumes = validate_volumes(spec, metadata, path.child("volumes"), options, errors);
  check_resource_claims(spec, metadata, path.child("resourceClaims"), errors);
  const ContainerContext context{spec, volumes, options, spec.hostUsers(true)};
  validate_containers(context, path.child("containers"), errors);
  validate_init_containers(context, path.child("initContainers"), errors);
  validate_ephemeral_containers(context, path.child("ephemeralContainers"), errors);
  validate_pod_level_resources(spec, path.child("resources"), options, errors);
  check_host_network_ports(spec, path, options, errors);
  check_enum(spec.restartPolicy(), path.child("restartPolicy"), {"Always", "OnFailure", "Never"}, errors);
  check_enum(spec.dnsPolicy(), path.child("dnsPolicy"),
             {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}, errors);
  check_labels(spec.nodeSelector(), path.child("nodeSelector"), errors);
  validate_pod_security_context(spec, path.child("securityContext"), options, errors);
  validate_affinity(spec.affinity(), path.child("affinity"), options, errors);
  check_dns_config(spec, path.child("dnsConfig"), errors);
  check_gates(spec, path, errors);
  validate_topology_spread(spec, path.child("topologySpreadConstraints"), options, errors);
  validate_windows_host_process(spec, path, options, errors);
  check_user_namespace(spec, path, options, errors);
  check_hostname_override(spec, path, errors);
  check_names(spec, path, errors);
  validate_tolerations(spec.tolerations(), path.child("tolerations"), options, errors);
  check_host_aliases(spec, path.child("hostAliases"), errors);
  check_classes(spec, path, options, errors);
  validate_operating_system(spec, path, errors);
  check_file_key_volumes(spec, path, errors);
}

void validate_pod_template(const core::PodTemplateSpec& template_, const FieldPath& path,
                           const PodValidationOptions& options, FieldErrorList& errors) {
  const FieldPath spec_path = path.child("spec");
  const auto metadata = template_.metadata();
  const auto spec = template_.spec();
  // Workloads name these paths without "metadata".
  check_labels(metadata.labels(), path.child("labels"), errors);
  check_annotations(metadata.annotations(), path.child("annotations"), errors);
  validate_pod_annotations(metadata.annotations(), spec, path.child("annotations"), options, errors);
  validate_pod_spec(spec, {}, spec_path, options, errors);
  validate_profile_annotations_match(metadata.annotations(), spec, spec_path, errors);
  if (!spec.ephemeralContainers().empty())
    errors.push_back(field::forbidden(spec_path.child("ephemeralContainers"), "ephemeral containers not allowed in pod template"));
}

void validate_pod(const core::Pod& pod, const PodValidationOptions& options, FieldErrorList& errors) {
  const FieldPath metadata_path("metadata"), path("spec");
  const auto spec = pod.spec();
  validate_pod_annotations(pod.metadata().annotations(), spec, metadata_path.child("annotations"), options, errors);
  validate_pod_spec(spec, pod.metadata(), path, options, errors);
  check_tokens_without_account(spec, path, errors);
  check_image_space(spec.containers(), path.child("containers"), errors);
  check_image_space(spec.initContainers(), path.child("initContainers"), errors);
}

void validate_pod_create(const core::Pod& pod, const PodValidationOptions& options, FieldErrorList& errors) {
  validate_pod(pod, options, errors);
  const FieldPath path("spec");
  if (!pod.spec().ephemeralContainers().empty())
    errors.push_back(field::forbidden(path.child("ephemeralContainers"), "cannot be set on create"));
  if (!pod.spec().nodeName().empty() && !pod.spec().schedulingGates().empty())
    errors.push_back(field::forbidden(path.child("nodeName"), "cannot be set until all schedulingGates have been cleared"));
  validate_profile_annotations_match(pod.metadata().annotations(), pod.spec(), path, errors);
}

}  // namespace rusternetes::api_server
