#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "engine/engine_runtime.h"

namespace rusternetes::engine {
namespace {

constexpr char kHolder[] = "holder";

ContainerSpec holder_spec(const RuntimeOptions& options, HolderConfig config, std::uint32_t attempt) {
  ContainerSpec spec;
  std::string owner = options.owner;
  std::replace(owner.begin(), owner.end(), '/', '_');
  spec.name = fmt::format("k8s_NODE_{}_{}", owner, attempt);
  spec.image = options.pause_image;
  spec.args = {"netns", config.netns_path};
  spec.hostname = std::move(config.hostname);
  spec.labels[label::kOwner] = options.owner;
  spec.labels[label::kKind] = kHolder;
  spec.labels[label::kAttempt] = std::to_string(attempt);
  spec.labels[label::kNetns] = std::move(config.netns_path);
  spec.cgroup_parent = std::move(config.cgroup_parent);
  // The path is one of /proc, of a process that is not its own: setns(2) asks for the one capability, reading another's
  // namespaces for the other. AppArmor's default profile denies that in spite of it.
  spec.network = {Namespace::Kind::none, {}};
  spec.pid.kind = Namespace::Kind::host;
  spec.security.drop_capabilities = {"ALL"};
  spec.security.add_capabilities = {"SYS_ADMIN", "SYS_PTRACE", "SETPCAP"};
  spec.security.seccomp = SeccompKind::unconfined;
  spec.security.apparmor_profile = "unconfined";
  spec.security.has_read_only_rootfs = true;
  spec.resources.cpu_shares = 2;
  spec.resources.oom_score_adj = -998;
  return spec;
}

}  // namespace

Task<Result<Holder>> EngineRuntime::run_network_holder(HolderConfig config) {
  auto all = co_await list_own(kHolder, {});
  if (!all) co_return std::move(all).error();
  std::uint32_t attempt = 0;
  const ContainerSummary* found = nullptr;
  // One that runs rather than another, the newest of those: what it replaced may not be gone yet.
  const auto rank = [](const ContainerSummary& one) {
    return std::pair(one.state == ContainerState::running, label_number(one.labels, label::kAttempt));
  };
  for (const auto& one : *all) {
    attempt = std::max(attempt, label_number(one.labels, label::kAttempt) + 1);
    if (config.is_replacement || label_value(one.labels, label::kNetns) != config.netns_path) continue;
    if (!found || rank(one) > rank(*found)) found = &one;
  }
  std::string id = found ? found->id : std::string();
  if (!found) {
    auto created = co_await create_pause(holder_spec(options_, std::move(config), attempt));
    if (!created) co_return std::move(created).error();
    id = *created;
  }
  if (!found || found->state != ContainerState::running) {
    auto started = co_await start_limited(id);
    if (!started) {
      auto removed = co_await engine_.remove_container(id, true);
      if (!removed) log::warn("runtime", "a holder that failed to start stays: {}", removed.error().message);
      co_return std::move(started).error();
    }
    log::info("runtime", "the holder of the node's network {} {}", id.substr(0, 12), found ? "was started again" : "was made");
  }
  auto details = co_await inspect_own(id, kHolder);
  if (!details) co_return std::move(details).error();
  if (details->state != ContainerState::running || engine_.is_gone(details->pid))
    co_return Status{409, "Conflict", fmt::format("the holder {} of the node's network has ended", id.substr(0, 12)), nullptr};
  co_return Holder{id, details->pid, fmt::format("/proc/{}/ns/net", details->pid)};
}

Task<Result<void>> EngineRuntime::remove_network_holders(std::string kept_id) {
  auto all = co_await list_own(kHolder, {});
  if (!all) co_return std::move(all).error();
  for (const auto& one : *all) {
    if (one.id == kept_id) continue;
    auto removed = co_await engine_.remove_container(one.id, true);
    if (!removed && !removed.error().is("Conflict")) co_return std::move(removed);
  }
  co_return Result<void>();
}

}  // namespace rusternetes::engine
