// The running half of a Pod's life: sandbox, containers, their failures.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "kubelet/pod/pod_worker.h"
#include "kubelet/container/resources.h"

namespace rusternetes::kubelet {

using engine::ContainerState;

namespace {
constexpr auto kRetry = std::chrono::seconds(5);
constexpr auto kFinished = std::chrono::milliseconds(50);
constexpr auto kNetworkRetry = std::chrono::seconds(1);
}  // namespace

Task<PodWorker::Deadline> PodWorker::run_pod() {
  const auto now = context_.options.clock->now();
  PodActions actions = compute_pod_actions(view(), state_, crashes_, failed_starts_, now, probes_.results(), replaced_);
  // From now on their back-off counts from their own end; what is gone is forgotten.
  std::erase_if(replaced_, [&](const auto& id) {
    const auto container = std::find_if(state_.containers.begin(), state_.containers.end(), [&](const auto& one) { return one.id == id; });
    return container == state_.containers.end() || std::any_of(actions.in_back_off.begin(), actions.in_back_off.end(), [&](const auto& one) {
             return container_of(view(), one.ref).name() == container->name;
           });
  });
  // A failure is over once its container runs.
  std::erase_if(failures_, [&](const auto& failure) {
    const auto* container = state_.find(failure.first);
    return container && container->state == ContainerState::running;
  });
  note_back_off(actions);
  auto published = co_await publish();
  if (!published) log::warn("kubelet", "status of pod {}: {}", full_name(view()), published.error().message);
  probes_.trigger_unready();
  if (is_ending()) co_return after({});  // it ended meanwhile, or has just reached a terminal phase
  Deadline next = after(context_.options.sync_frequency);
  if (!published) next = std::min(next, after(kRetry));
  if (actions.next) next = std::min(next, after(*actions.next - now));
  if (const auto end = active_deadline()) next = std::min(next, after(std::max<SystemTime::duration>(*end - now, {})));

  if (!actions.kill_pod) kill_began_.reset();
  if (actions.kill_pod) {
    const auto killed = co_await kill_pod(actions, next);
    if (killed || is_ending()) co_return killed.value_or(after({}));
  }

  // Volumes before containers, and again from time to time: changed objects are to be seen in them.
  if (!is_prepared_ || std::chrono::steady_clock::now() >= refresh_at_) {
    auto prepared = co_await context_.volumes.prepare(pod_, downward());
    if (!prepared) {
      if (told_mount_failure_ != prepared.error().message)
        context_.events.warning(pod_, "v1", "Pod", "FailedMount", prepared.error().message);
      told_mount_failure_ = prepared.error().message;
      if (!is_prepared_) co_return std::min(next, after(kRetry));
    } else {
      told_mount_failure_.clear();
      is_prepared_ = true;
    }
    refresh_at_ = after(context_.options.sync_frequency);
  }

  if (actions.create_sandbox) {
    if (const auto reason = context_.network.not_ready(); !reason.empty() && !is_host_network(view())) {
      context_.events.warning(pod_, "v1", "Pod", "NetworkNotReady", "network is not ready: " + reason);
      co_return std::min(next, after(kNetworkRetry));
    }
    auto created = co_await create_sandbox(actions.sandbox_attempt);
    if (!created) {
      context_.events.warning(pod_, "v1", "Pod", "FailedCreatePodSandBox", "Failed to create pod sandbox: " + created.error().message);
      const auto pause = std::chrono::seconds(1 << std::min(sandbox_failures_++, 5));
      co_return std::min(next, after(pause));
    }
    sandbox_failures_ = 0;
  }
  for (const auto& kill : actions.containers_to_kill)
    for (const auto& container : state_.containers)
      if (container.id == kill.id) {
        replaced_.insert(kill.id);
        stop(container, now + kill.grace.value_or(grace_of(view())), kill.message);
      }
  if (const auto grace_end = next_grace_end()) next = std::min(next, *grace_end);
  const auto failures_before = failures_;
  for (const auto ref : actions.containers_to_start) {
    const auto* present = state_.find(container_of(view(), ref).name());
    if (present && present->state == ContainerState::running) continue;  // it is being killed first
    if (is_ending()) co_return after({});
    co_await start_container(ref, next);
  }
  const bool has_failed = failures_ != failures_before;
  if (has_failed) {
    auto gathered = co_await gather();  // what a failed start has left is told with its failure
    if (!gathered) co_return std::min(next, after(kRetry));
  }
  if (actions.create_sandbox || has_failed) {
    published = co_await publish();
    if (!published) next = std::min(next, after(kRetry));
  }
  co_return next;
}

// Ends what the Pod has, group by group, looking again between them. None once all has ended and a sandbox is to be made,
// else when to look again.
Task<std::optional<PodWorker::Deadline>> PodWorker::kill_pod(PodActions actions, Deadline next) {
  const auto* newest = state_.sandbox();
  if (actions.create_sandbox && newest && std::exchange(told_sandbox_changed_, newest->id) != newest->id)
    context_.events.normal(pod_, "v1", "Pod", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  if (!kill_began_) kill_began_ = context_.options.clock->now();
  if (stop_next_group(*kill_began_ + grace_of(view())))
    co_return std::min(next, next_grace_end().value_or(next));
  const bool had_ready = std::any_of(state_.sandboxes.begin(), state_.sandboxes.end(),
                                     [](const auto& sandbox) { return sandbox.state == engine::SandboxState::ready; });
  auto stopped = co_await stop_sandboxes();
  if (!stopped) {
    context_.events.warning(pod_, "v1", "Pod", "FailedKillPod", "error killing pod: " + stopped.error().message);
    co_return std::min(next, after(kRetry));
  }
  kill_began_.reset();
  if (actions.create_sandbox) co_return std::nullopt;
  // Nothing is left to do. The phase should say so, but a Pod that cannot end must not keep the node busy.
  co_return had_ready ? std::min(next, after(kFinished)) : next;
}

Task<Result<void>> PodWorker::stop_sandboxes() {
  const auto sandboxes = state_.sandboxes;
  if (!sandboxes.empty()) {
    auto unwired = co_await context_.network.unwire(uid_);
    if (!unwired) co_return unwired.error();
    wired_sandbox_.clear();
  }
  for (const auto& sandbox : sandboxes) {
    auto stopped = co_await context_.runtime.stop_pod_sandbox(sandbox.id);
    if (!stopped) co_return stopped.error();
  }
  // The newest is kept for what its containers still tell; those before it are forgotten.
  for (std::size_t i = 1; i < sandboxes.size(); ++i) {
    auto removed = co_await context_.runtime.remove_pod_sandbox(sandboxes[i].id);
    if (!removed) co_return removed.error();
  }
  co_return Result<void>{};
}

Task<Result<void>> PodWorker::create_sandbox(std::uint32_t attempt) {
  const Document document = pod_;  // kept: update() may replace pod_ at every co_await
  const auto pod = pod_view(document);
  engine::SandboxConfig config;
  config.name = pod.metadata().name();
  config.namespace_name = pod.metadata().namespace_();
  config.uid = uid_;
  config.attempt = attempt;
  config.cgroup_parent = pod_cgroup(context_.options.cgroup_root, pod);
  for (const auto sysctl : pod.spec().securityContext().sysctls()) config.sysctls[std::string(sysctl.name())] = sysctl.value_();
  config.uses_host_pid = pod.spec().hostPID();
  config.uses_host_ipc = pod.spec().hostIPC();
  config.annotations[annotation::kGracePeriod] = std::to_string(pod.spec().terminationGracePeriodSeconds(30));
  if (const auto names = sidecars(pod); !names.empty()) config.annotations[annotation::kSidecars] = fmt::format("{}", fmt::join(names, ","));
  std::vector<std::string> addresses;
  if (is_host_network(pod)) {
    config.network = context_.options.host_network;
    config.network_container = context_.options.holder_container;
    if (context_.holder.is_needed()) {
      auto holder = co_await context_.holder.ensure();
      if (!holder) co_return holder.error();
      config.network_container = *std::move(holder);
    }
  } else {
    RN_CO_TRY(config.hostname, kernel_hostname(pod, context_.options.cluster_domain));
    RN_CO_TRY(addresses, context_.network.pool().allocate(uid_));
    config.annotations[annotation::kPodIps] = fmt::format("{}", fmt::join(addresses, ","));
  }
  const auto resources = pod_resources(pod);
  const std::string cgroup = context_.runtime.pod_cgroup_path(config.cgroup_parent);
  const auto& cgroups = context_.cgroups;
  // With systemd the groups are systemd's to make; their files are ours to write afterwards.
  const bool is_systemd = context_.node.runtime_version().cgroup_driver == "systemd";
  auto ensure_cgroup = [&cgroups, cgroup, resources] { return cgroups.ensure_pod(cgroup, resources); };
  if (!is_systemd) {
    auto made = co_await context_.files.run(ensure_cgroup);
    if (!made) co_return made.error();
  }
  auto id = co_await context_.runtime.run_pod_sandbox(std::move(config));
  if (!id) co_return id.error();
  if (is_systemd) {
    auto made = co_await context_.files.run(ensure_cgroup);
    if (!made) log::warn("kubelet", "limits of pod {}: {}", full_name(view()), made.error().message);
  }
  auto status = co_await context_.runtime.pod_sandbox_status(*id);
  if (!status) co_return status.error();
  if (is_host_network(view()) && !status->netns_path.empty() && !context_.network.is_node(status->netns_path)) {
    auto removed = co_await context_.runtime.remove_pod_sandbox(*id);
    if (!removed) log::warn("kubelet", "a sandbox in another network stays: {}", removed.error().message);
    co_return internal_error("the sandbox did not come to the node's network");
  }
  if (!addresses.empty()) {
    auto wired = co_await context_.network.wire(uid_, addresses, status->netns_path);
    if (!wired) {
      auto removed = co_await context_.runtime.remove_pod_sandbox(*id);
      if (!removed) log::warn("kubelet", "an unwired sandbox stays: {}", removed.error().message);
      co_return wired.error();
    }
    wired_sandbox_ = *id;
  }
  state_.pod_ips = std::move(addresses);
  state_.sandboxes.insert(state_.sandboxes.begin(), *std::move(status));
  co_return Result<void>{};
}

void PodWorker::fail(ContainerRef ref, std::string reason, std::string message) {
  failures_[std::string(container_of(view(), ref).name())] = {std::move(reason), std::move(message)};
}

std::string PodWorker::log_path(std::string_view container, std::uint32_t attempt) const {
  return fmt::format("{}/{}/{}/{}.log", context_.options.log_dir, log_folder(view()), container, attempt);
}

std::uint32_t PodWorker::next_attempt(const core_v1::Container& container, bool is_init) const {
  if (const auto* newest = state_.find(container.name())) return newest->attempt + 1;
  // The runtime has forgotten it: status has not.
  for (const auto status : is_init ? view().status().initContainerStatuses() : view().status().containerStatuses())
    if (status.name() == container.name()) {
      const bool has_run = !status.containerID().empty();
      return static_cast<std::uint32_t>(status.restartCount() + (has_run ? 1 : 0));
    }
  return 0;
}

Task<Result<ContainerInput>> PodWorker::prepare_container(ContainerRef ref, std::uint32_t attempt, engine::ImageDetails image) {
  const Document document = pod_;  // kept: update() may replace pod_ at every co_await
  const auto pod = pod_view(document);
  const auto container = container_of(pod, ref);
  ContainerInput out;
  out.attempt = attempt;
  out.image = std::move(image);
  out.log_path = log_path(container.name(), attempt);
  out.seccomp_root = context_.options.root_dir + "/seccomp";
  out.node_memory_bytes = context_.node.machine().memory_bytes;
  out.log_max_bytes = context_.options.container_log_max_bytes;
  out.log_max_files = context_.options.container_log_max_files;

  auto objects = co_await context_.objects.load(std::string(pod.metadata().namespace_()), environment_references(container));
  if (!objects) co_return objects.error();
  co_await context_.services.wait_for_sync();
  const auto services = service_environment(context_.services.list(), pod.metadata().namespace_(), pod.spec().enableServiceLinks(true));
  RN_CO_TRY(out.environment, make_environment(pod, container, services, *objects, downward()));
  auto mounts = co_await context_.volumes.mounts(document, ref, out.environment);
  if (!mounts) co_return mounts.error();
  out.mounts = *std::move(mounts);

  const auto& options = context_.options;
  const std::string termination = termination_file(options, uid_, container.name(), attempt);
  const std::string termination_path(container.terminationMessagePath());
  const auto addresses = state_.pod_ips;
  auto notes = std::make_shared<std::vector<DnsNote>>();
  auto write = [&options, document, ref, addresses, termination, termination_path, notes]() -> Result<std::vector<engine::Mount>> {
    const auto view = pod_view(document);
    PodFiles files;
    files.folder = pod_folder(options, view.metadata().uid());
    files.hosts = hosts_file(view, addresses, options.cluster_domain, is_host_network(view) ? read_text_file("/etc/hosts") : "");
    files.resolv_conf = pod_dns(view, node_dns(view, options), options.cluster_dns, options.cluster_domain, notes.get()).to_string();
    files.hostname = options.node_name;
    if (!is_host_network(view)) {
      RN_TRY(files.hostname, kernel_hostname(view, options.cluster_domain));
    }
    files.hostname += "\n";
    RN_TRY(auto out, write_pod_files(files, container_of(view, ref)));
    if (!termination_path.empty()) {
      RN_TRY(auto mount, make_termination_file(termination, termination_path));
      out.push_back(std::move(mount));
    }
    return out;
  };
  auto files = co_await context_.files.run(write);
  if (!files) co_return files.error();
  const std::string sandbox = state_.sandbox() ? state_.sandbox()->id : "";
  if (std::exchange(told_dns_sandbox_, sandbox) != sandbox)  // once, not for each of its containers
    for (const auto& note : *notes) context_.events.warning(document, "v1", "Pod", note.reason, note.message);
  out.mounts.insert(out.mounts.end(), files->begin(), files->end());
  co_return out;
}

Task<> PodWorker::start_container(ContainerRef ref, Deadline& next) {
  const std::string name(container_of(view(), ref).name());
  const std::string where = field_path(view(), ref);
  std::function<void()> wake = [self = weak_from_this()] {
    if (auto worker = self.lock()) worker->wake();
  };
  auto image = co_await context_.images.ensure(pod_, ref, std::move(wake));
  if (image.kind == ImageAnswer::Kind::pulling) {
    // What failed before stays to be seen until the pull has ended.
    co_return;
  }
  if (image.kind == ImageAnswer::Kind::failed) {
    const auto before = failures_.find(name);
    if (before == failures_.end() || before->second.reason != image.failure.reason)
      context_.events.warning(pod_, "v1", "Pod", "Failed", "Error: " + image.failure.reason, where);
    fail(ref, image.failure.reason, image.failure.message);
    const auto now = context_.options.clock->now();
    next = std::min(next, image.ask_again ? after(std::max<SystemTime::duration>(*image.ask_again - now, {})) : after(kRetry));
    co_return;
  }
  const auto tell_error = [&](std::string reason, const std::string& message) {
    context_.events.warning(pod_, "v1", "Pod", "Failed", "Error: " + message, where);
    fail(ref, std::move(reason), message);
    next = std::min(next, after(kRetry));
  };
  const auto attempt = next_attempt(container_of(view(), ref), ref.is_init);
  auto input = co_await prepare_container(ref, attempt, std::move(image.image));
  if (!input) {
    tell_error("CreateContainerConfigError", input.error().message);
    co_return;
  }
  if (ref.is_ephemeral) {
    const core_v1::EphemeralContainer ephemeral(container_of(view(), ref).value());
    const auto* target = state_.find(ephemeral.targetContainerName());
    if (target) input->pid_target = target->id;
    if (!target && !ephemeral.targetContainerName().empty()) {
      tell_error("CreateContainerConfigError", fmt::format("unable to find target container {}", ephemeral.targetContainerName()));
      co_return;
    }
  }
  auto config = make_container_config(view(), ref, *std::move(input));
  if (!config) {
    tell_error("CreateContainerConfigError", config.error().message);
    co_return;
  }
  if (const auto ended = last_end(state_, failed_starts_, name, replaced_)) crashes_.next(back_off_key(view(), name), *ended);
  const std::string sandbox = state_.sandbox()->id;
  auto id = co_await context_.runtime.create_container(sandbox, *std::move(config));
  if (!id) {
    failed_starts_[name] = context_.options.clock->now();
    tell_error("CreateContainerError", id.error().message);
    co_return;
  }
  context_.events.normal(pod_, "v1", "Pod", "Created", "Container created", where);
  auto started = co_await context_.runtime.start_container(*id);
  ended_.erase(*id);
  if (!started) {
    failed_starts_[name] = context_.options.clock->now();
    tell_error("RunContainerError", started.error().message);
    co_await collect_dead(name);
    co_return;
  }
  failed_starts_.erase(name);
  context_.events.normal(pod_, "v1", "Pod", "Started", "Container started", where);
  failures_.erase(name);
  next = after({});  // to say it
  if (hook_of(container_of(view(), ref), Hook::post_start)) {
    const bool is_done = co_await post_start(ref, *id);
    if (!is_done) next = std::min(next, after(kRetry));
  }
  co_await collect_dead(name);
}

// After a start, successful or not: of those before it the last one that ended is kept, for its last state and its log.
Task<> PodWorker::collect_dead(std::string name) {
  std::vector<engine::ContainerStatus> dead;
  bool has_last = false;
  for (const auto& container : state_.containers) {  // as of before the start
    if (container.name != name || container.state == ContainerState::running) continue;
    if (container.state == ContainerState::exited && !std::exchange(has_last, true)) continue;
    dead.push_back(container);
  }
  for (const auto& one : dead) {
    auto removed = co_await context_.runtime.remove_container(one.id);
    if (!removed) {
      log::debug("kubelet", "a dead container stays: {}", removed.error().message);
      continue;
    }
    const std::string log = log_path(name, one.attempt);
    const std::string words = termination_file(context_.options, uid_, name, one.attempt);
    auto erase = [log, words] {
      std::error_code ec;
      std::filesystem::remove(words, ec);
      for (const auto& suffix : {"", ".1", ".2", ".3", ".4", ".5"}) std::filesystem::remove(log + suffix, ec);
    };
    co_await context_.files.run(erase);
  }
}

}  // namespace rusternetes::kubelet
