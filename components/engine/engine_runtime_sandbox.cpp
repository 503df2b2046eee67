#include <fmt/format.h>

#include "base/log.h"
#include "engine/dialect.h"
#include "engine/engine_runtime.h"

namespace rusternetes::engine {
namespace {

constexpr char kSandbox[] = "sandbox";
constexpr char kContainer[] = "container";
// Pause answers TERM at once; this is for a host under load.
constexpr int kPauseGraceSeconds = 2;

const char* network_word(SandboxNetwork network) {
  return network == SandboxNetwork::own ? "own" : network == SandboxNetwork::host ? "host" : "container";
}

void set_network(const SandboxConfig& config, const HostFacts& host, ContainerSpec& spec) {
  switch (config.network) {
    case SandboxNetwork::own:
      spec.network = {Namespace::Kind::none, {}};
      // The engines differ in these (Docker 0 and open, no IPv6; Podman 1024 and closed): Pods get the same
      // on both.
      spec.sysctls.try_emplace("net.ipv4.ip_unprivileged_port_start", "0");
      spec.sysctls.try_emplace("net.ipv4.ping_group_range", "0 2147483647");
      if (host.has_ipv6) {
        spec.sysctls.try_emplace("net.ipv6.conf.all.disable_ipv6", "0");
        spec.sysctls.try_emplace("net.ipv6.conf.default.disable_ipv6", "0");
      }
      break;
    case SandboxNetwork::container:
      spec.network = {Namespace::Kind::container, config.network_container};
      break;
    case SandboxNetwork::host:
      spec.network = {Namespace::Kind::host, {}};
      break;
  }
}

Sandbox to_sandbox(const std::string& id, const Labels& all, bool is_running, std::int64_t created_at_ns) {
  Sandbox out;
  out.id = id;
  out.name = label_value(all, label::kPodName);
  out.namespace_name = label_value(all, label::kPodNamespace);
  out.uid = label_value(all, label::kPodUid);
  out.attempt = label_number(all, label::kAttempt);
  out.state = is_running ? SandboxState::ready : SandboxState::not_ready;
  out.created_at_ns = created_at_ns;
  split_labels(all, out.labels, out.annotations);
  return out;
}

}  // namespace

Task<Result<std::string>> EngineRuntime::run_pod_sandbox(SandboxConfig config) {
  ContainerSpec spec;
  spec.name =
      fmt::format("k8s_POD_{}_{}_{}_{}", config.name, config.namespace_name, config.uid, config.attempt);
  spec.image = options_.pause_image;
  spec.hostname = config.hostname;
  spec.labels = config.labels;
  for (const auto& [key, value] : config.annotations) spec.labels[label::kAnnotationPrefix + key] = value;
  spec.labels[label::kOwner] = options_.owner;
  spec.labels[label::kKind] = kSandbox;
  spec.labels[label::kPodName] = config.name;
  spec.labels[label::kPodNamespace] = config.namespace_name;
  spec.labels[label::kPodUid] = config.uid;
  spec.labels[label::kAttempt] = std::to_string(config.attempt);
  spec.labels[label::kNetwork] = network_word(config.network);
  spec.labels[label::kCgroupParent] = config.cgroup_parent;
  if (config.uses_host_ipc) spec.labels[label::kHostIpc] = "true";
  spec.sysctls = config.sysctls;
  set_network(config, engine_.dialect().host(), spec);
  spec.cgroup_parent = config.cgroup_parent;
  spec.shm_bytes = config.uses_host_ipc ? 0 : config.shm_bytes;
  spec.ipc.kind = config.uses_host_ipc ? Namespace::Kind::host : Namespace::Kind::shareable;
  if (config.uses_host_pid) spec.pid.kind = Namespace::Kind::host;
  spec.resources.cpu_shares = 2;
  spec.resources.oom_score_adj = -998;  // the last of a Pod to be killed, where the host allows it
  spec.security.no_new_privileges = true;
  spec.security.has_read_only_rootfs = true;

  auto id = co_await create_pause(std::move(spec));
  if (!id) co_return std::move(id).error();
  auto started = co_await start_limited(*id);
  if (started) co_return std::move(id);
  auto removed = co_await engine_.remove_container(*id, true);
  if (!removed) log::warn("runtime", "a sandbox that failed to start stays: {}", removed.error().message);
  co_return std::move(started).error();
}

Task<Result<void>> EngineRuntime::stop_pod_sandbox(std::string id) {
  auto sandbox = co_await inspect_own(id, kSandbox);
  if (!sandbox && !sandbox.error().is("NotFound")) co_return std::move(sandbox).error();
  // Containers first, even of a sandbox that is gone: killed ones of a dead pause live on with lo alone.
  auto containers = co_await list_own(kContainer, {}, id);
  if (!containers) co_return std::move(containers).error();
  for (const auto& container : *containers) {
    if (container.state != ContainerState::running) continue;
    auto stopped = co_await stop_quietly(container.id, 0);
    if (!stopped) co_return std::move(stopped);
  }
  if (!sandbox || sandbox->state != ContainerState::running) co_return Result<void>();
  co_return co_await stop_quietly(id, kPauseGraceSeconds);
}

Task<Result<void>> EngineRuntime::remove_pod_sandbox(std::string id) {
  // Its containers first: Docker would leave them running, Podman refuses ("has dependent containers").
  auto containers = co_await list_own(kContainer, {}, id);
  if (!containers) co_return std::move(containers).error();
  // One that joined another's processes goes before it, for the same reason: as long as any goes, the others are tried again.
  std::vector<std::string> left;
  for (const auto& container : *containers) left.push_back(container.id);
  Status failure;
  for (std::size_t before = left.size() + 1; !left.empty() && left.size() < before;) {
    before = left.size();
    std::vector<std::string> refused;
    for (const auto& one : left) {
      auto removed = co_await remove_container(one);
      if (removed) continue;
      failure = std::move(removed).error();
      refused.push_back(one);
    }
    left = std::move(refused);
  }
  if (!left.empty()) co_return failure;
  auto sandbox = co_await inspect_own(id, kSandbox);
  if (!sandbox) {
    if (sandbox.error().is("NotFound")) co_return Result<void>();
    co_return std::move(sandbox).error();
  }
  co_return co_await engine_.remove_container(std::move(id), true);
}

Task<Result<std::vector<Sandbox>>> EngineRuntime::list_pod_sandboxes(std::string pod_uid) {
  auto list = co_await list_own(kSandbox, std::move(pod_uid));
  if (!list) co_return std::move(list).error();
  std::vector<Sandbox> out;
  for (const auto& item : *list)
    out.push_back(
        to_sandbox(item.id, item.labels, item.state == ContainerState::running, item.created_at_ns));
  co_return out;
}

Task<Result<SandboxStatus>> EngineRuntime::pod_sandbox_status(std::string id) {
  auto details = co_await inspect_own(std::move(id), kSandbox);
  if (!details) co_return std::move(details).error();
  bool is_running = details->state == ContainerState::running && !engine_.is_gone(details->pid);
  SandboxStatus out;
  static_cast<Sandbox&>(out) = to_sandbox(details->id, details->labels, is_running, details->created_at_ns);
  auto network = label_value(details->labels, label::kNetwork);
  out.network = network == "host"        ? SandboxNetwork::host
                : network == "container" ? SandboxNetwork::container
                                         : SandboxNetwork::own;
  if (is_running) {
    out.pid = details->pid;
    out.netns_path = fmt::format("/proc/{}/ns/net", details->pid);
  }
  co_return out;
}

}  // namespace rusternetes::engine
