#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/log.h"
#include "engine/dialect.h"
#include "engine/engine_runtime.h"

namespace rusternetes::engine {
namespace {

constexpr char kSandbox[] = "sandbox";
constexpr char kContainer[] = "container";
constexpr int kStartErrorCode = 128;  // as containerd reports a command that cannot be run
constexpr int kUnknownCode = 137;     // as the kubelet reports a container that is gone without a trace

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Container to_container(const std::string& id, const Labels& all) {
  Container out;
  out.id = id;
  out.sandbox_id = label_value(all, label::kSandboxId);
  out.name = label_value(all, label::kContainerName);
  out.attempt = label_number(all, label::kAttempt);
  out.image = label_value(all, label::kImage);
  split_labels(all, out.labels, out.annotations);
  return out;
}

Namespace pid_namespace(const ContainerConfig& config, const std::string& sandbox_id) {
  switch (config.pid) {
    case PidMode::container:
      return {};
    case PidMode::pod:
      return {Namespace::Kind::container, sandbox_id};
    case PidMode::node:
      return {Namespace::Kind::host, {}};
    case PidMode::target:
      return {Namespace::Kind::container, config.pid_target};
  }
  return {};
}

}  // namespace

ContainerSpec EngineRuntime::container_spec(const ContainerDetails& sandbox, ContainerConfig config) const {
  auto pod = [&sandbox](const char* key) { return label_value(sandbox.labels, key); };
  ContainerSpec spec;
  spec.name = fmt::format("k8s_{}_{}_{}_{}_{}", config.name, pod(label::kPodName), pod(label::kPodNamespace),
                          pod(label::kPodUid), config.attempt);
  spec.labels = config.labels;
  for (const auto& [key, value] : config.annotations) spec.labels[label::kAnnotationPrefix + key] = value;
  spec.labels[label::kOwner] = options_.owner;
  spec.labels[label::kKind] = kContainer;
  for (const char* key : {label::kPodName, label::kPodNamespace, label::kPodUid}) spec.labels[key] = pod(key);
  spec.labels[label::kSandboxId] = sandbox.id;
  spec.labels[label::kContainerName] = config.name;
  spec.labels[label::kAttempt] = std::to_string(config.attempt);
  spec.labels[label::kLogPath] = config.log_path;
  spec.labels[label::kImage] = config.image_reference.empty() ? config.image : config.image_reference;
  spec.pid = pid_namespace(config, sandbox.id);
  spec.image = std::move(config.image);
  spec.command = std::move(config.command);
  spec.args = std::move(config.args);
  spec.env = std::move(config.env);
  spec.working_dir = std::move(config.working_dir);
  spec.mounts = std::move(config.mounts);
  spec.devices = std::move(config.devices);
  spec.cgroup_parent = pod(label::kCgroupParent);
  spec.resources = std::move(config.resources);
  spec.security = std::move(config.security);
  spec.network = {Namespace::Kind::container, sandbox.id};
  if (pod(label::kHostIpc) == "true")
    spec.ipc.kind = Namespace::Kind::host;
  else
    spec.ipc = {Namespace::Kind::container, sandbox.id};
  spec.has_stdin = config.has_stdin;
  spec.is_stdin_once = config.is_stdin_once;
  spec.has_tty = config.has_tty;
  spec.stop_signal = std::move(config.stop_signal);
  spec.log_path = std::move(config.log_path);
  spec.log_max_bytes = config.log_max_bytes;
  spec.log_max_files = config.log_max_files;
  return spec;
}

Task<Result<std::string>> EngineRuntime::create_container(std::string sandbox_id, ContainerConfig config) {
  auto sandbox = co_await inspect_own(sandbox_id, kSandbox);
  if (!sandbox) co_return std::move(sandbox).error();
  if (!config.log_path.empty()) {
    std::error_code ec;
    std::filesystem::create_directories(std::filesystem::path(config.log_path).parent_path(), ec);
    if (ec) co_return internal_error("log directory of " + config.log_path + ": " + ec.message());
  }
  auto spec = container_spec(*sandbox, std::move(config));
  co_return co_await create_replacing(std::move(spec));
}

Result<void> EngineRuntime::link_log(const ContainerDetails& details) const {
  auto wanted = label_value(details.labels, label::kLogPath);
  if (wanted.empty() || details.log_path.empty() || wanted == details.log_path) return {};
  // Made aside and renamed over, so that a reader finds the old link or the new one.
  std::string aside = wanted + ".link";
  ::unlink(aside.c_str());
  if (::symlink(details.log_path.c_str(), aside.c_str()) != 0 || ::rename(aside.c_str(), wanted.c_str()) != 0)
    return errno_error("link " + wanted, errno);
  return {};
}

Task<Result<void>> EngineRuntime::start_container(std::string id) {
  auto details = co_await inspect_own(id, kContainer);
  if (!details) co_return std::move(details).error();
  // Podman would start a dead pause again by itself, in a new and unwired namespace.
  auto sandbox = co_await inspect_own(label_value(details->labels, label::kSandboxId), kSandbox);
  if (!sandbox) co_return std::move(sandbox).error();
  if (sandbox->state != ContainerState::running || engine_.is_gone(sandbox->pid))
    co_return Status{409, "Conflict", fmt::format("sandbox {} is not running", sandbox->id), nullptr};
  auto started = co_await start_limited(id);
  if (!started) {
    if (started.error().is(reason::kStartError)) failed_starts_[id] = {started.error().message, now_ns()};
    co_return std::move(started);
  }
  if (engine_.info().kind == EngineKind::docker) {
    // Only now Docker knows its log's path. What fails here container_status() makes good.
    auto running = co_await engine_.inspect_container(id);
    if (auto linked = running ? link_log(*running) : Result<void>(running.error()); !linked)
      log::warn("runtime", "the log of container {}: {}", id.substr(0, 12), linked.error().message);
  }
  co_return Result<void>();
}

Task<Result<void>> EngineRuntime::stop_container(std::string id, std::chrono::seconds grace) {
  auto details = co_await inspect_own(id, kContainer);
  if (!details) {
    if (details.error().is("NotFound")) co_return Result<void>();
    co_return std::move(details).error();
  }
  co_return co_await stop_quietly(std::move(id), static_cast<int>(std::max<std::int64_t>(0, grace.count())));
}

Task<Result<void>> EngineRuntime::remove_container(std::string id) {
  auto details = co_await inspect_own(id, kContainer);
  if (!details) {
    if (details.error().is("NotFound")) co_return Result<void>();
    co_return std::move(details).error();
  }
  auto removed = co_await engine_.remove_container(id, true);
  if (removed) failed_starts_.erase(id);
  co_return std::move(removed);
}

Task<Result<std::vector<Container>>> EngineRuntime::list_containers(std::string pod_uid) {
  auto list = co_await list_own(kContainer, std::move(pod_uid));
  if (!list) co_return std::move(list).error();
  std::vector<Container> out;
  for (const auto& item : *list) {
    auto container = to_container(item.id, item.labels);
    container.image_id = item.image_id;
    container.state = failed_starts_.contains(item.id) ? ContainerState::exited : item.state;
    container.created_at_ns = item.created_at_ns;
    out.push_back(std::move(container));
  }
  co_return out;
}

ContainerStatus EngineRuntime::to_status(const ContainerDetails& details) {
  ContainerStatus out;
  static_cast<Container&>(out) = to_container(details.id, details.labels);
  out.image_id = details.image_id;
  out.state = details.state;
  out.created_at_ns = details.created_at_ns;
  out.started_at_ns = details.started_at_ns;
  out.log_path = label_value(details.labels, label::kLogPath);
  if (out.log_path.empty()) out.log_path = details.log_path;
  out.has_tty = details.has_tty;
  auto failed = failed_starts_.find(details.id);
  // Docker remembers a failed start by an error beside the state "created".
  if (details.state == ContainerState::created &&
      (failed != failed_starts_.end() || !details.error.empty())) {
    out.state = ContainerState::exited;
    out.exit_code = kStartErrorCode;
    out.reason = "StartError";
    out.message = failed != failed_starts_.end() ? failed->second.message : details.error;
    out.finished_at_ns = failed != failed_starts_.end() ? failed->second.time_ns : details.created_at_ns;
    return out;
  }
  if (engine_.is_lost(details)) {
    out.state = ContainerState::exited;
    out.exit_code = kUnknownCode;
    out.reason = "ContainerStatusUnknown";
    out.message = "the container's process and its monitor are gone, and with them the exit code";
    out.finished_at_ns = now_ns();
    return out;
  }
  if (details.state == ContainerState::running) out.pid = details.pid;
  if (details.state != ContainerState::exited) return out;
  out.exit_code = details.exit_code;
  // Podman takes the end from the exit file and the start from its own clock afterwards: a short life would
  // be negative.
  out.finished_at_ns = std::max(details.finished_at_ns, details.started_at_ns);
  bool is_oom =
      details.is_oom_killed || (engine_.info().kind == EngineKind::podman && oom_log_.was_killed(details.id));
  out.reason = is_oom ? "OOMKilled" : details.exit_code == 0 ? "Completed" : "Error";
  out.message = details.error;
  return out;
}

Task<Result<ContainerStatus>> EngineRuntime::container_status(std::string id) {
  auto details = co_await inspect_own(id, kContainer);
  // What ended between the engine's answer and our look at its processes is no mystery to the next answer.
  if (details && engine_.is_lost(*details)) details = co_await inspect_own(std::move(id), kContainer);
  if (!details) co_return std::move(details).error();
  if (engine_.info().kind == EngineKind::docker && ::access(label_value(details->labels, label::kLogPath).c_str(), F_OK) != 0) {
    if (auto linked = link_log(*details); !linked) log::warn("runtime", "{}", linked.error().message);
  }
  co_return to_status(*details);
}

Task<Result<void>> EngineRuntime::update_container_resources(std::string id, Resources resources) {
  auto details = co_await inspect_own(id, kContainer);
  if (!details) co_return std::move(details).error();
  co_return co_await engine_.update_resources(std::move(id), std::move(resources));
}

}  // namespace rusternetes::engine
