// Environment variables of containers, and the references that they and downward API volumes make.

#include "api-server/strategy/pod_validation.h"
#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

struct FieldPathParts {
  std::string_view path, subscript;
  bool has_subscript = false;
};

// metadata.labels['key'] → metadata.labels, key.
FieldPathParts split_field_path(std::string_view text) {
  if (!text.ends_with("']")) return {text, {}};
  const auto open = text.substr(0, text.size() - 2).find("['");
  if (open == std::string_view::npos || open == 0) return {text, {}};
  return {text.substr(0, open), text.substr(open + 2, text.size() - 2 - open - 2), true};
}

bool is_pod_field(std::string_view path) {
  return is_any_of(path, {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
                          "metadata.uid", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName",
                          "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP",
                          "status.podIPs", "spec.host"});
}

bool is_memory_divisor(std::string_view divisor) {
  return is_any_of(divisor, {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"});
}

void check_divisor(const core::ResourceFieldSelector& reference, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view divisor = reference.divisor(), name = reference.resource();
  if (divisor.empty() || divisor == "0") return;
  constexpr std::string_view memory_values =
      "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ";
  const auto refuse = [&](std::string detail) {
    errors.push_back(field::invalid(path.child("divisor"), name, detail));
  };
  if (name == "limits.cpu" || name == "requests.cpu") {
    if (divisor != "1m" && divisor != "1") refuse("only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  if (is_memory_divisor(divisor)) return;
  if (name == "limits.memory" || name == "requests.memory")
    refuse(std::string(memory_values) + "memory resource");
  else if (name == "limits.ephemeral-storage" || name == "requests.ephemeral-storage")
    refuse(std::string(memory_values) + "local ephemeral storage resource");
  else if (name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-"))
    refuse(std::string(memory_values) + "hugepages resource");
}

// The same for a ConfigMap's and a Secret's.
template <class Selector>
void check_key_selector(const Selector& selector, const FieldPath& path, FieldErrorList& errors) {
  check_dns_subdomain(selector.name(), path.child("name"), errors);
  if (selector.key().empty())
    errors.push_back(field::required(path.child("key")));
  else
    errors.push_invalid(path.child("key"), selector.key(), is_config_map_key(selector.key()));
}

void check_file_key(const core::FileKeySelector& selector, const FieldPath& path, FieldErrorList& errors) {
  if (selector.key().empty())
    errors.push_back(field::required(path.child("key")));
  else
    errors.push_invalid(path.child("key"), selector.key(), is_relaxed_env_var_name(selector.key()));
  if (selector.volumeName().empty())
    errors.push_back(field::required(path.child("volumeName")));
  else
    check_dns_label(selector.volumeName(), path.child("volumeName"), errors);
  if (selector.path().empty())
    errors.push_back(field::required(path.child("path")));
  else
    validate_path_no_backsteps(selector.path(), path.child("path"), errors);
}

void check_value_source(const core::EnvVar& variable, const FieldPath& path, FieldErrorList& errors) {
  const auto source = variable.valueFrom();
  if (!source) return;
  int sources = 0;
  if (source.fieldRef()) {
    ++sources;
    validate_field_reference(source.fieldRef(), path.child("fieldRef"), false, errors);
  }
  if (source.resourceFieldRef()) {
    ++sources;
    validate_resource_reference(source.resourceFieldRef(), path.child("resourceFieldRef"), false, errors);
  }
  if (source.configMapKeyRef()) {
    ++sources;
    check_key_selector(source.configMapKeyRef(), path.child("configMapKeyRef"), errors);
  }
  if (source.secretKeyRef()) {
    ++sources;
    check_key_selector(source.secretKeyRef(), path.child("secretKeyRef"), errors);
  }
  if (source.fileKeyRef()) {
    ++sources;
    check_file_key(source.fileKeyRef(), path.child("fileKeyRef"), errors);
  }
  if (sources == 0)
    errors.push_back(field::invalid(path, "",
                                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                                    "`secretKeyRef` or `fileKeyRef`"));
  else if (!variable.value_().empty())
    errors.push_back(field::invalid(path, "", "may not be specified when `value` is not empty"));
  else if (sources > 1)
    errors.push_back(field::invalid(path, "", "may not have more than one field specified at a time"));
}

template <class Source>
void check_env_from_source(const Source& source, const FieldPath& path, FieldErrorList& errors) {
  if (source.name().empty())
    errors.push_back(field::required(path.child("name")));
  else  // as a prefix
    errors.push_invalid(path.child("name"), source.name(), is_dns1123_subdomain(mask_trailing_dash(source.name())));
}

}  // namespace

void validate_field_reference(const core::ObjectFieldSelector& reference, const FieldPath& path, bool is_volume,
                              FieldErrorList& errors) {
  check_required(reference.apiVersion(), path.child("apiVersion"), errors);
  if (reference.fieldPath().empty()) {
    errors.push_back(field::required(path.child("fieldPath")));
    return;
  }
  const FieldPathParts parts = split_field_path(reference.fieldPath());
  const auto refuse = [&](std::string detail) {
    errors.push_back(field::invalid(path.child("fieldPath"), reference.fieldPath(), "error converting fieldPath: " + detail));
  };
  if (reference.apiVersion() != "v1") return refuse("unsupported pod version: " + std::string(reference.apiVersion()));
  if (parts.has_subscript) {
    if (parts.path == "metadata.annotations") {
      std::string lower(parts.subscript);
      for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      check_qualified_name(lower, path, errors);
    } else if (parts.path == "metadata.labels") {
      check_qualified_name(parts.subscript, path, errors);
    } else {
      refuse("field label does not support subscript: " + std::string(reference.fieldPath()));
    }
    return;
  }
  if (!is_pod_field(parts.path)) return refuse("field label not supported: " + std::string(parts.path));
  const std::string_view name = parts.path == "spec.host" ? "spec.nodeName" : parts.path;
  if (is_volume)
    check_supported(name, path.child("fieldPath"),
                    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"},
                    errors);
  else
    check_supported(name, path.child("fieldPath"),
                    {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                     "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"},
                    errors);
}

void validate_resource_reference(const core::ResourceFieldSelector& reference, const FieldPath& path, bool is_volume,
                                 FieldErrorList& errors) {
  const std::string_view name = reference.resource();
  if (is_volume && reference.containerName().empty())
    errors.push_back(field::required(path.child("containerName")));
  else if (name.empty())
    errors.push_back(field::required(path.child("resource")));
  else if (!name.starts_with("requests.hugepages-") && !name.starts_with("limits.hugepages-"))
    check_supported(name, path.child("resource"),
                    {"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                     "requests.ephemeral-storage", "requests.memory"},
                    errors);
  check_divisor(reference, path, errors);
}

void validate_container_environment(const core::Container& container, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  const FieldPath env = path.child("env"), env_from = path.child("envFrom");
  for (const auto variable : container.env()) {
    const FieldPath at = env.index(i++);
    if (variable.name().empty())
      errors.push_back(field::required(at.child("name")));
    else
      errors.push_invalid(at.child("name"), variable.name(), is_relaxed_env_var_name(variable.name()));
    check_value_source(variable, at.child("valueFrom"), errors);
  }
  i = 0;
  for (const auto source : container.envFrom()) {
    const FieldPath at = env_from.index(i++);
    if (!source.prefix().empty())
      errors.push_invalid(at.child("prefix"), source.prefix(), is_relaxed_env_var_name(source.prefix()));
    if (source.configMapRef()) check_env_from_source(source.configMapRef(), at.child("configMapRef"), errors);
    if (source.secretRef()) check_env_from_source(source.secretRef(), at.child("secretRef"), errors);
    if (!source.configMapRef() && !source.secretRef())
      errors.push_back(field::invalid(env_from, "", "must specify one of: `configMapRef` or `secretRef`"));
    else if (source.configMapRef() && source.secretRef())
      errors.push_back(field::invalid(env_from, "", "may not have more than one field specified at a time"));
  }
}

}  // namespace rusternetes::api_server
