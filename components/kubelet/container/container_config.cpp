#include "kubelet/container/container_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "kubelet/container/resources.h"

namespace rusternetes::kubelet {

namespace {

// The container's own context wins over the Pod's, field by field.
std::optional<std::int64_t> run_as_user(const core_v1::Pod& pod, const core_v1::Container& container) {
  if (container.securityContext().has_runAsUser()) return container.securityContext().runAsUser();
  if (pod.spec().securityContext().has_runAsUser()) return pod.spec().securityContext().runAsUser();
  return {};
}
std::optional<std::int64_t> run_as_group(const core_v1::Pod& pod, const core_v1::Container& container) {
  if (container.securityContext().has_runAsGroup()) return container.securityContext().runAsGroup();
  if (pod.spec().securityContext().has_runAsGroup()) return pod.spec().securityContext().runAsGroup();
  return {};
}
bool run_as_non_root(const core_v1::Pod& pod, const core_v1::Container& container) {
  if (container.securityContext().has_runAsNonRoot()) return container.securityContext().runAsNonRoot();
  return pod.spec().securityContext().runAsNonRoot();
}

std::string user_part(std::string_view user) { return std::string(user.substr(0, user.find(':'))); }

Result<void> check_non_root(const core_v1::Pod& pod, const core_v1::Container& container, const engine::ImageDetails& image) {
  if (!run_as_non_root(pod, container)) return {};
  const std::string where = fmt::format("(pod: \"{}\", container: {})", full_name(pod), container.name());
  if (const auto user = run_as_user(pod, container)) {
    if (*user == 0) return internal_error("container's runAsUser breaks non-root policy " + where);
    return {};
  }
  const std::string user = user_part(image.user);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), number);
  const bool is_number = !user.empty() && error == std::errc{} && end == user.data() + user.size();
  if (user.empty() || (is_number && number == 0))
    return internal_error("container has runAsNonRoot and image will run as root " + where);
  if (!is_number)
    return internal_error(fmt::format(
        "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {}", user, where));
  return {};
}

void set_seccomp(const core_v1::SeccompProfile& profile, const std::string& seccomp_root, engine::Security& out) {
  out.seccomp = engine::SeccompKind::unconfined;  // what Kubernetes runs without a word
  if (profile.type() == "RuntimeDefault") out.seccomp = engine::SeccompKind::runtime_default;
  if (profile.type() == "Localhost") {
    out.seccomp = engine::SeccompKind::localhost;
    out.seccomp_profile_path = fmt::format("{}/{}", seccomp_root, profile.localhostProfile());
  }
}

void set_apparmor(const core_v1::AppArmorProfile& profile, engine::Security& out) {
  if (profile.type() == "Unconfined") out.apparmor_profile = "unconfined";
  if (profile.type() == "Localhost") out.apparmor_profile = profile.localhostProfile();
}

}  // namespace

Result<engine::Security> container_security(const core_v1::Pod& pod, const core_v1::Container& container,
                                            const engine::ImageDetails& image, const std::string& seccomp_root) {
  RN_CHECK(check_non_root(pod, container, image));
  const auto own = container.securityContext();
  const auto shared = pod.spec().securityContext();
  engine::Security out;
  out.is_privileged = own.privileged();
  for (const auto name : own.capabilities().add()) out.add_capabilities.emplace_back(name);
  for (const auto name : own.capabilities().drop()) out.drop_capabilities.emplace_back(name);
  const auto user = run_as_user(pod, container);
  const auto group = run_as_group(pod, container);
  if (user) out.user = std::to_string(*user);
  if (group) {
    if (!user) out.user = user_part(image.user).empty() ? "0" : user_part(image.user);
    out.user += ":" + std::to_string(*group);
  }
  for (const auto id : shared.supplementalGroups()) out.supplemental_groups.push_back(id);
  if (shared.has_fsGroup()) out.supplemental_groups.push_back(shared.fsGroup());
  out.has_read_only_rootfs = own.readOnlyRootFilesystem();
  out.no_new_privileges = own.has_allowPrivilegeEscalation() && !own.allowPrivilegeEscalation();
  out.is_proc_unmasked = own.procMount() == "Unmasked";
  set_seccomp(own.seccompProfile() ? own.seccompProfile() : shared.seccompProfile(), seccomp_root, out);
  set_apparmor(own.appArmorProfile() ? own.appArmorProfile() : shared.appArmorProfile(), out);
  return out;
}

Result<engine::ContainerConfig> make_container_config(const core_v1::Pod& pod, ContainerRef ref, ContainerInput input) {
  const auto container = container_of(pod, ref);
  engine::ContainerConfig out;
  RN_TRY(out.security, container_security(pod, container, input.image, input.seccomp_root));
  out.name = container.name();
  out.attempt = input.attempt;
  out.image = input.image.id;
  out.image_reference = container.image();
  Variables variables;
  for (const auto& [name, value] : input.environment) variables[name] = value;
  for (const auto word : container.command()) out.command.push_back(expand(word, variables));
  for (const auto word : container.args()) out.args.push_back(expand(word, variables));
  out.env = std::move(input.environment);
  out.working_dir = container.workingDir();
  out.mounts = std::move(input.mounts);
  out.log_path = std::move(input.log_path);
  out.log_max_bytes = input.log_max_bytes;
  out.log_max_files = input.log_max_files;
  out.has_stdin = container.stdin();
  out.is_stdin_once = container.stdinOnce();
  out.has_tty = container.tty();
  out.resources = container_resources(pod, container, input.node_memory_bytes);
  if (pod.spec().hostPID())
    out.pid = engine::PidMode::node;
  else if (pod.spec().shareProcessNamespace())
    out.pid = engine::PidMode::pod;
  else if (!input.pid_target.empty()) {
    out.pid = engine::PidMode::target;
    out.pid_target = std::move(input.pid_target);
  }
  out.stop_signal = container.lifecycle().stopSignal();
  return out;
}

}  // namespace rusternetes::kubelet
