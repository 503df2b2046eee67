// Security contexts of Pods and containers, and what depends on a Pod's operating system.

#include <algorithm>

#include "api-server/strategy/pod_validation.h"
#include "api-server/strategy/windows_validation.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::SecurityContext;

namespace {

BadValue shown(const View& value, const Type& type) {
  std::string json;
  encode_json(json, *value.value(), type);
  return BadValue::json(std::move(json));
}

void check_user(bool is_set, std::int64_t id, const FieldPath& path, FieldErrorList& errors) {
  if (is_set)
    for (const auto& problem : is_valid_user_id(id)) errors.push_back(field::invalid(path, id, problem));
}
void check_group(bool is_set, std::int64_t id, const FieldPath& path, FieldErrorList& errors) {
  if (is_set)
    for (const auto& problem : is_valid_group_id(id)) errors.push_back(field::invalid(path, id, problem));
}

void check_seccomp(const core::SeccompProfile& profile, const FieldPath& path, FieldErrorList& errors) {
  if (!profile) return;
  const FieldPath local = path.child("localhostProfile");
  if (profile.type().empty())
    errors.push_back(field::required(path.child("type"), "type is required when seccompProfile is set"));
  else
    check_supported(profile.type(), path.child("type"), {"Localhost", "RuntimeDefault", "Unconfined"}, errors);
  if (profile.type() != "Localhost") {
    if (profile.has_localhostProfile())
      errors.push_back(field::invalid(local, shown(profile, core::SeccompProfile::schema_type()),
                                      "can only be set when seccomp type is Localhost"));
  } else if (!profile.has_localhostProfile()) {
    errors.push_back(field::required(local, "must be set when seccomp type is Localhost"));
  } else {
    validate_local_descending_path(profile.localhostProfile(), local, errors);
  }
}

bool is_sysctl_name(std::string_view name) {
  if (name.size() > 253) return false;
  const auto is_edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  while (true) {
    const auto end = name.find_first_of("./");
    const std::string_view segment = name.substr(0, end);
    if (segment.empty() || !is_edge(segment.front()) || !is_edge(segment.back()) ||
        !std::ranges::all_of(segment, [&](char c) { return is_edge(c) || c == '-' || c == '_'; }))
      return false;
    if (end == std::string_view::npos) return true;
    name.remove_prefix(end + 1);
  }
}

enum class SysctlNamespace { unknown, network, ipc };

SysctlNamespace namespace_of_sysctl(std::string_view name) {
  std::string normal(name);
  // "net/ipv4/conf/eth0.100/x" is written with '/' for '.' and the reverse.
  if (const auto first = normal.find_first_of("./"); first != std::string::npos && normal[first] == '/')
    for (char& c : normal) c = c == '.' ? '/' : c == '/' ? '.' : c;
  std::string_view prefix(normal);
  prefix = prefix.substr(0, prefix.find('*'));
  if (is_any_of(prefix, {"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
                         "kernel.shm", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg"}) ||
      prefix.starts_with("fs.mqueue."))
    return SysctlNamespace::ipc;
  return prefix.starts_with("net.") ? SysctlNamespace::network : SysctlNamespace::unknown;
}

void check_sysctls(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                   FieldErrorList& errors) {
  TextSet names;
  std::int64_t i = 0;
  for (const auto sysctl : spec.securityContext().sysctls()) {
    const FieldPath item = path.index(i++), at = item.child("name");
    const std::string_view name = sysctl.name();
    if (name.empty())
      errors.push_back(field::required(at));
    else if (!is_sysctl_name(name))
      errors.push_back(field::invalid(
          at, name,
          "must have at most 253 characters and match regex "
          "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"));
    else if (names.contains(name))
      errors.push_back(field::duplicate(at, name));
    if (!options.allow_sysctls_of_host_namespaces && is_sysctl_of_host_namespace(name, spec))
      errors.push_back(field::invalid(at, name,
                                      namespace_of_sysctl(name) == SysctlNamespace::network
                                          ? "may not be specified when 'hostNetwork' is true"
                                          : "may not be specified when 'hostIPC' is true"));
    names.insert(name);
  }
}

void check_escalation(const SecurityContext& context, const FieldPath& path, FieldErrorList& errors) {
  if (!context.has_allowPrivilegeEscalation() || context.allowPrivilegeEscalation()) return;
  const auto refuse = [&](std::string_view detail) {
    errors.push_back(field::invalid(path, shown(context, SecurityContext::schema_type()), detail));
  };
  if (context.privileged()) refuse("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  for (const auto capability : context.capabilities().add())
    if (capability == "CAP_SYS_ADMIN")
      refuse("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

}  // namespace

bool is_sysctl_of_host_namespace(std::string_view name, const core::PodSpec& spec) {
  if (!spec.hostNetwork() && !spec.hostIPC()) return false;
  const SysctlNamespace where = namespace_of_sysctl(name);
  return (spec.hostNetwork() && where == SysctlNamespace::network) || (spec.hostIPC() && where == SysctlNamespace::ipc);
}

void validate_app_armor_profile(const core::AppArmorProfile& profile, const FieldPath& path, FieldErrorList& errors) {
  if (!profile) return;
  const FieldPath local = path.child("localhostProfile");
  const std::string_view type = profile.type(), name = profile.localhostProfile();
  if (type == "Localhost") {
    constexpr std::string_view space = " \t\n\v\f\r";
    if (!profile.has_localhostProfile() || name.empty()) {
      errors.push_back(field::required(local, "must be set when AppArmor type is Localhost"));
    } else if (space.find(name.front()) != std::string_view::npos || space.find(name.back()) != std::string_view::npos) {
      errors.push_back(field::invalid(local, name, "must not be padded with whitespace"));
    }
    if (name.size() > 4095) errors.push_back(field::too_long(local, 4095));
  } else if (type == "RuntimeDefault" || type == "Unconfined") {
    if (profile.has_localhostProfile())
      errors.push_back(field::invalid(local, name, "can only be set when AppArmor type is Localhost"));
  } else if (type.empty()) {
    errors.push_back(field::required(path.child("type"), "type is required when appArmorProfile is set"));
  } else {
    errors.push_back(field::not_supported(path.child("type"), type, {"Localhost", "RuntimeDefault", "Unconfined"}));
  }
}

void validate_security_context(const SecurityContext& context, const ContainerContext& container,
                               const FieldPath& path, FieldErrorList& errors) {
  if (context.privileged() && !container.options.allow_privileged)
    errors.push_back(field::forbidden(path.child("privileged"), "disallowed by cluster policy"));
  check_user(context.has_runAsUser(), context.runAsUser(), path.child("runAsUser"), errors);
  check_group(context.has_runAsGroup(), context.runAsGroup(), path.child("runAsGroup"), errors);
  if (context.has_procMount()) {
    check_supported(context.procMount(), path.child("procMount"), {"Default", "Unmasked"}, errors);
    if (container.uses_host_users && context.procMount() == "Unmasked")
      errors.push_back(
          field::invalid(path.child("procMount"), context.procMount(), "`hostUsers` must be false to use `Unmasked`"));
  }
  check_seccomp(context.seccompProfile(), path.child("seccompProfile"), errors);
  check_escalation(context, path, errors);
  validate_windows_options(context.windowsOptions(), path.child("windowsOptions"), errors);
  validate_app_armor_profile(context.appArmorProfile(), path.child("appArmorProfile"), errors);
}

void validate_pod_security_context(const core::PodSpec& spec, const FieldPath& path,
                                   const PodValidationOptions& options, FieldErrorList& errors) {
  const auto context = spec.securityContext();
  if (spec.has_shareProcessNamespace() && spec.hostPID() && spec.shareProcessNamespace())
    errors.push_back(field::invalid(path.child("shareProcessNamespace"), true,
                                    "ShareProcessNamespace and HostPID cannot both be enabled"));
  if (!context) return;
  check_group(context.has_fsGroup(), context.fsGroup(), path.child("fsGroup"), errors);
  check_user(context.has_runAsUser(), context.runAsUser(), path.child("runAsUser"), errors);
  check_group(context.has_runAsGroup(), context.runAsGroup(), path.child("runAsGroup"), errors);
  const FieldPath groups = path.child("supplementalGroups");
  std::int64_t i = 0;
  for (const std::int64_t group : context.supplementalGroups()) check_group(true, group, groups.index(i++), errors);
  check_sysctls(spec, path.child("sysctls"), options, errors);
  if (context.has_fsGroupChangePolicy())
    check_supported(context.fsGroupChangePolicy(), path.child("fsGroupChangePolicy"), {"Always", "OnRootMismatch"},
                    errors);
  check_seccomp(context.seccompProfile(), path.child("seccompProfile"), errors);
  validate_windows_options(context.windowsOptions(), path.child("windowsOptions"), errors);
  validate_app_armor_profile(context.appArmorProfile(), path.child("appArmorProfile"), errors);
  if (context.has_supplementalGroupsPolicy())
    check_supported(context.supplementalGroupsPolicy(), path.child("supplementalGroupsPolicy"), {"Merge", "Strict"},
                    errors);
  if (!context.has_seLinuxChangePolicy()) return;
  const FieldPath selinux = path.child("seLinuxChangePolicy");
  if (options.allow_any_selinux_change_policy)
    check_supported(context.seLinuxChangePolicy(), selinux, {"MountOption", "Recursive"}, errors);
  else
    check_supported(context.seLinuxChangePolicy(), selinux, {"Recursive"}, errors);
}

}  // namespace rusternetes::api_server
