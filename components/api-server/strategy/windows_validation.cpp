// What is only for Windows Pods, and what they may not have.

#include "api-server/strategy/windows_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::PodSecurityContext;
using core_v1::SecurityContext;

namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool has_any(std::string_view text, std::string_view characters) {
  return text.find_first_of(characters) != std::string_view::npos;
}
bool is_netbios_name(std::string_view name) {
  return !name.empty() && name.size() <= 15 && name.front() != '.' && !has_any(name, "\\/:*?\"<>|");
}
bool is_dns_name(std::string_view name) {
  while (true) {
    const auto dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > 63 || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back()) ||
        !std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; }))
      return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

void check_user_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  const auto refuse = [&](std::string_view detail) { errors.push_back(field::invalid(path, name, detail)); };
  if (name.empty()) return refuse("runAsUserName cannot be an empty string");
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return refuse("runAsUserName cannot contain control characters");
  const auto slash = name.find('\\');
  if (slash != std::string_view::npos && name.find('\\', slash + 1) != std::string_view::npos)
    return refuse("runAsUserName cannot contain more than one backslash");
  const bool has_domain = slash != std::string_view::npos;
  const std::string_view domain = has_domain ? name.substr(0, slash) : std::string_view{};
  const std::string_view user = has_domain ? name.substr(slash + 1) : name;
  if (domain.size() >= 256) refuse("runAsUserName's Domain length must be under 256 characters");
  if (has_domain && !is_netbios_name(domain) && !is_dns_name(domain))
    refuse("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  if (user.empty())
    refuse("runAsUserName's User cannot be empty");
  else if (user.size() > 104)
    refuse("runAsUserName's User length must not be longer than 104 characters");
  if (!user.empty() && user.find_first_not_of(". ") == std::string_view::npos)
    refuse("runAsUserName's User cannot contain only periods or spaces");
  if (has_any(user, "\"/\\:;|=,+*?<>@[]"))
    refuse("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
}

void check_linux(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view detail = "windows options cannot be set for a linux pod";
  if (spec.securityContext().windowsOptions())
    errors.push_back(field::forbidden(path.child("securityContext").child("windowsOptions"), detail));
  each_container(spec, path, [&](const core::Container& container, const FieldPath& at) {
    if (container.securityContext().windowsOptions())
      errors.push_back(field::forbidden(at.child("securityContext").child("windowsOptions"), detail));
    return true;
  });
}

struct NamedField {
  int field;
  std::string_view name;
};
constexpr std::array<NamedField, 11> not_in_windows_pods{{
    {PodSecurityContext::f_appArmorProfile, "appArmorProfile"},
    {PodSecurityContext::f_seLinuxOptions, "seLinuxOptions"},
    {PodSecurityContext::f_seccompProfile, "seccompProfile"},
    {PodSecurityContext::f_fsGroup, "fsGroup"},
    {PodSecurityContext::f_fsGroupChangePolicy, "fsGroupChangePolicy"},
    {PodSecurityContext::f_sysctls, "sysctls"},
    {PodSecurityContext::f_runAsUser, "runAsUser"},
    {PodSecurityContext::f_runAsGroup, "runAsGroup"},
    {PodSecurityContext::f_supplementalGroups, "supplementalGroups"},
    {PodSecurityContext::f_supplementalGroupsPolicy, "supplementalGroupsPolicy"},
    {PodSecurityContext::f_seLinuxChangePolicy, "seLinuxChangePolicy"},
}};
constexpr std::array<NamedField, 10> not_in_windows_containers{{
    {SecurityContext::f_appArmorProfile, "appArmorProfile"},
    {SecurityContext::f_seLinuxOptions, "seLinuxOptions"},
    {SecurityContext::f_seccompProfile, "seccompProfile"},
    {SecurityContext::f_capabilities, "capabilities"},
    {SecurityContext::f_readOnlyRootFilesystem, "readOnlyRootFilesystem"},
    {SecurityContext::f_privileged, "privileged"},
    {SecurityContext::f_allowPrivilegeEscalation, "allowPrivilegeEscalation"},
    {SecurityContext::f_procMount, "procMount"},
    {SecurityContext::f_runAsUser, "runAsUser"},
    {SecurityContext::f_runAsGroup, "runAsGroup"},
}};

void check_windows(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view detail = "cannot be set for a windows pod";
  const FieldPath context = path.child("securityContext");
  if (const Value* value = spec.securityContext().value())
    for (const auto& [field, name] : not_in_windows_pods)
      if (value->get(field)) errors.push_back(field::forbidden(context.child(name), detail));
  if (spec.has_hostUsers()) errors.push_back(field::forbidden(path.child("hostUsers"), detail));
  if (spec.hostPID()) errors.push_back(field::forbidden(path.child("hostPID"), detail));
  if (spec.hostIPC()) errors.push_back(field::forbidden(path.child("hostIPC"), detail));
  if (spec.has_shareProcessNamespace()) errors.push_back(field::forbidden(path.child("shareProcessNamespace"), detail));
  each_container(spec, path, [&](const core::Container& container, const FieldPath& at) {
    const FieldPath own = at.child("securityContext");
    if (const Value* value = container.securityContext().value())
      for (const auto& [field, name] : not_in_windows_containers)
        if (value->get(field)) errors.push_back(field::forbidden(own.child(name), detail));
    return true;
  });
}

}  // namespace

void validate_windows_options(const core::WindowsSecurityContextOptions& options, const FieldPath& path,
                              FieldErrorList& errors) {
  if (!options) return;
  if (options.has_gmsaCredentialSpecName())
    check_dns_subdomain(options.gmsaCredentialSpecName(), path.child("gmsaCredentialSpecName"), errors);
  if (options.has_gmsaCredentialSpec()) {
    const FieldPath at = path.child("gmsaCredentialSpec");
    const std::string_view spec = options.gmsaCredentialSpec();
    if (spec.empty())
      errors.push_back(field::invalid(at, spec, "gmsaCredentialSpec cannot be an empty string"));
    else if (spec.size() > 64 * 1024)
      errors.push_back(field::invalid(at, spec, "gmsaCredentialSpec size must be under 64 KiB"));
  }
  if (options.has_runAsUserName()) check_user_name(options.runAsUserName(), path.child("runAsUserName"), errors);
}

void validate_operating_system(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  if (!spec.os()) return;
  const std::string_view name = spec.os().name();
  if (name.empty())
    errors.push_back(field::required(path.child("os").child("name")));
  else if (name == "linux")
    check_linux(spec, path, errors);
  else if (name == "windows")
    check_windows(spec, path, errors);
  else
    errors.push_back(field::not_supported(path.child("os"), name, {"linux", "windows"}));
}

void validate_windows_host_process(const core::PodSpec& spec, const FieldPath& path,
                                   const PodValidationOptions& options, FieldErrorList& errors) {
  const auto pod = spec.securityContext().windowsOptions();
  int containers = 0, host_processes = 0;
  each_container(spec, path, [&](const core::Container& container, const FieldPath& at) {
    ++containers;
    const auto own = container.securityContext().windowsOptions();
    if (pod.has_hostProcess() && own.has_hostProcess() && pod.hostProcess() != own.hostProcess())
      errors.push_back(field::invalid(
          at.child("securityContext").child("windowsOptions").child("hostProcess"), own.hostProcess(),
          fmt::format("pod hostProcess value must be identical if both are specified, was {}", pod.hostProcess())));
    host_processes += own.has_hostProcess() ? own.hostProcess() : pod.hostProcess();
    return true;
  });
  if (host_processes == 0) return;
  if (host_processes != containers)
    errors.push_back(field::invalid(
        path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"));
  if (!spec.hostNetwork())
    errors.push_back(field::invalid(path.child("hostNetwork"), false,
                                    "hostNetwork must be true if pod contains any hostProcess containers"));
  if (!options.allow_privileged)
    errors.push_back(field::forbidden(path, "hostProcess containers are disallowed by cluster policy"));
}

}  // namespace rusternetes::api_server
