#include "kubelet/pod/pod_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/object_builder.h"
#include "kubelet/pod/last_words.h"

namespace rusternetes::kubelet {

using namespace apimachinery;
using engine::ContainerState;

namespace {
constexpr client::Resource pods{"", "v1", "pods"};
constexpr auto kRetry = std::chrono::seconds(2);
}  // namespace

Document orphan_pod(const engine::Sandbox& sandbox) {
  using M = meta_v1::ObjectMeta;
  client::ObjectBuilder builder(core_v1::Pod::schema_type());
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), core_v1::Pod::f_metadata);
  set_string(arena, metadata, M::f_name, sandbox.name);
  set_string(arena, metadata, M::f_namespace_, sandbox.namespace_name);
  set_string(arena, metadata, M::f_uid, sandbox.uid);
  Value& spec = ensure(arena, builder.root(), core_v1::Pod::f_spec);
  auto grace = sandbox.annotations.find(annotation::kGracePeriod);
  if (grace != sandbox.annotations.end())
    set_integer(arena, spec, core_v1::PodSpec::f_terminationGracePeriodSeconds, std::atoll(grace->second.c_str()));
  auto sidecars = sandbox.annotations.find(annotation::kSidecars);
  if (sidecars != sandbox.annotations.end()) {
    Value& list = ensure(arena, spec, core_v1::PodSpec::f_initContainers, ValueKind::list);
    std::stringstream names(sidecars->second);
    for (std::string name; std::getline(names, name, ',');) {
      Value& one = append_structure(arena, list);
      set_string(arena, one, core_v1::Container::f_name, name);
      set_string(arena, one, core_v1::Container::f_restartPolicy, "Always");
    }
  }
  return builder.freeze();
}

PodWorker::PodWorker(WorkerContext& context, Document pod)
    : context_(context),
      pod_(std::move(pod)),
      uid_(client::uid_of(pod_)),
      wake_(context.client.executor()),
      probes_({context.prober, context.events, context.tasks, *context.options.clock, context.started_at}, [this] { probe_changed(); }) {}

void PodWorker::update(Document pod) {
  if (is_newer(pod, pod_))
    pod_ = std::move(pod);
  else if (is_newer(pod_, pod))
    is_doubtful_ = true;  // of before our own last write; or the store was put back, and this is what there is now
  else
    return;
  wake_.set();
}

void PodWorker::removed(Document last) {
  is_orphan_ = !last;
  if (is_newer(last, pod_)) pod_ = std::move(last);
  is_removed_ = true;
  wake_.set();
}

void PodWorker::runtime_event(const std::string& container_id) {
  ended_.erase(container_id);
  wake_.set();
}

void PodWorker::probe_changed() {
  wake_.set();
  if (is_publishing_readiness_ || is_finished_) return;
  is_publishing_readiness_ = true;
  context_.tasks.spawn("status of a probed pod", publish_readiness(shared_from_this()));
}

Task<> PodWorker::publish_readiness(std::shared_ptr<PodWorker> self) {
  self->is_publishing_readiness_ = false;  // what changes from here on is told by another one
  auto published = co_await self->publish();
  if (!published) log::debug("kubelet", "status of pod {}: {}", full_name(self->view()), published.error().message);
}

bool PodWorker::is_ending() const {
  return is_removed_ || is_deleting(view()) || has_terminal_phase(view()) || !forced_phase_.empty();
}

DownwardContext PodWorker::downward() const {
  DownwardContext out;
  out.node_name = context_.options.node_name;
  out.host_ips = {context_.options.node_ip};
  out.pod_ips = is_host_network(view()) ? out.host_ips : state_.pod_ips;
  out.allocatable = context_.node.allocatable();
  return out;
}

Task<> PodWorker::run() {
  while (!is_finished_) {
    const auto deadline = co_await step();
    if (is_finished_) break;
    (void)co_await wake_.wait_until(deadline);
  }
}

Task<PodWorker::Deadline> PodWorker::step() {
  auto gathered = co_await gather();
  if (!gathered) {
    log::warn("kubelet", "pod {}: {}", full_name(view()), gathered.error().message);
    co_return after(kRetry);
  }
  check_active_deadline();
  if (is_ending()) co_return co_await end_pod();
  co_return co_await run_pod();
}

std::optional<SystemTime> PodWorker::active_deadline() const {
  if (!view().spec().has_activeDeadlineSeconds() || !view().status().has_startTime()) return {};
  return SystemTime(std::chrono::microseconds(view().status().startTime()) + std::chrono::seconds(view().spec().activeDeadlineSeconds()));
}

void PodWorker::check_active_deadline() {
  const auto end = active_deadline();
  if (is_ending() || !end || context_.options.clock->now() < *end) return;
  forced_phase_ = "Failed";
  forced_reason_ = "DeadlineExceeded";
  forced_message_ = "Pod was active on the node longer than the specified deadline";
  context_.events.normal(pod_, "v1", "Pod", forced_reason_, forced_message_);
}

Task<Result<engine::ContainerStatus>> PodWorker::read_container(std::string id) {
  if (auto it = ended_.find(id); it != ended_.end()) co_return it->second;
  auto status = co_await context_.runtime.container_status(id);
  if (status && status->state == ContainerState::exited) {
    co_await add_last_words(*status);
    ended_[id] = *status;
  }
  co_return status;
}

// What the container left in its termination log, or, if its policy says so, at the end of its output.
Task<> PodWorker::add_last_words(engine::ContainerStatus& container) {
  core_v1::Container spec;
  for (const auto& list : {view().spec().containers(), view().spec().initContainers(), ephemeral_containers(view())})
    for (const auto one : list)
      if (one.name() == container.name) spec = one;
  if (!spec) co_return;
  const std::string file = termination_file(context_.options, uid_, container.name, container.attempt);
  const std::string log = spec.terminationMessagePolicy() == "FallbackToLogsOnError" && container.exit_code != 0 ? container.log_path : "";
  auto read = [file, log] {
    auto words = read_termination_message(file);
    return words.empty() && !log.empty() ? end_of_log(log) : words;
  };
  auto words = co_await context_.files.run(read);
  if (!words.empty()) container.message = std::move(words);
}

Task<Result<void>> PodWorker::gather() {
  PodRuntimeState fresh;
  auto sandboxes = co_await context_.runtime.list_pod_sandboxes(uid_);
  if (!sandboxes) co_return sandboxes.error();
  for (const auto& sandbox : *sandboxes) {
    auto status = co_await context_.runtime.pod_sandbox_status(sandbox.id);
    if (status) {
      // One that was left in a namespace which is the node's no more is of no use.
      if (is_host_network(view()) && !status->netns_path.empty() && !context_.network.is_node(status->netns_path))
        status->state = engine::SandboxState::not_ready;
      fresh.sandboxes.push_back(*std::move(status));
    } else if (!status.error().is("NotFound"))
      co_return status.error();
  }
  auto containers = co_await context_.runtime.list_containers(uid_);
  if (!containers) co_return containers.error();
  std::set<std::string> present;
  for (const auto& container : *containers) {
    auto status = co_await read_container(container.id);
    if (status) {
      present.insert(container.id);
      fresh.containers.push_back(*std::move(status));
    } else if (!status.error().is("NotFound")) {
      co_return status.error();
    }
  }
  std::erase_if(ended_, [&](const auto& entry) { return !present.contains(entry.first); });
  std::erase_if(stops_, [&](const auto& entry) { return !present.contains(entry.first); });
  std::erase_if(told_killing_, [&](const auto& id) { return !present.contains(id); });
  fresh.sort();
  complete_from_status(view(), fresh);
  state_ = std::move(fresh);
  auto wired = co_await ensure_wired();
  if (!is_ending()) {
    const bool ran_before = view().status().has_startTime() &&
                            SystemTime(std::chrono::microseconds(view().status().startTime())) < context_.started_at;
    probes_.start(pod_, ran_before);
  }
  probes_.observe(pod_, state_);
  co_return wired;
}

// Also after a restart of the kubelet, and when the node's namespace has been replaced: an intact wire is left alone.
Task<Result<void>> PodWorker::ensure_wired() {
  const auto* sandbox = state_.sandbox();
  if (!sandbox || sandbox->state != engine::SandboxState::ready || sandbox->network != engine::SandboxNetwork::own) co_return Result<void>{};
  auto noted = sandbox->annotations.find(annotation::kPodIps);
  if (noted == sandbox->annotations.end()) co_return Result<void>{};
  std::vector<std::string> addresses;
  std::stringstream words(noted->second);
  for (std::string one; std::getline(words, one, ',');) addresses.push_back(one);
  if (wired_sandbox_ != sandbox->id && !is_ending()) {
    if (auto adopted = context_.network.pool().adopt(uid_, addresses); !adopted) {
      log::warn("kubelet", "pod {} gets a new sandbox: {}", full_name(view()), adopted.error().message);
      co_return Result<void>{};  // without an address it counts as unusable
    }
    const std::string id = sandbox->id;
    auto wired = co_await context_.network.wire(uid_, addresses, sandbox->netns_path);
    if (!wired) co_return wired.error();
    wired_sandbox_ = id;
  }
  state_.pod_ips = std::move(addresses);
  co_return Result<void>{};
}

void PodWorker::note_back_off(const PodActions& actions) {
  std::erase_if(told_back_off_, [&](const auto& id) {
    return std::none_of(state_.containers.begin(), state_.containers.end(), [&](const auto& container) { return container.id == id; });
  });
  for (const auto& one : actions.in_back_off) {
    const auto container = container_of(view(), one.ref);
    const auto* last = state_.find(container.name());
    auto& failure = failures_[std::string(container.name())];
    if (failure.reason == "CreateContainerError") continue;  // nothing has crashed: what is wrong stays to be seen
    failure = {"CrashLoopBackOff", fmt::format("back-off {} restarting failed container={} pod={}",
                                               format_duration(std::chrono::nanoseconds(one.delay).count()), container.name(), full_name(view()))};
    if (last && told_back_off_.insert(last->id).second)
      context_.events.warning(pod_, "v1", "Pod", "BackOff",
                              fmt::format("Back-off restarting failed container {} in pod {}", container.name(), full_name(view())),
                              field_path(view(), one.ref));
  }
}

// The Pod as the api-server has it now.
Task<Result<void>> PodWorker::read_again() {
  const std::string name_space(view().metadata().namespace_()), name(view().metadata().name());
  is_doubtful_ = false;
  const Document before = pod_;
  auto fresh = co_await context_.client.get(pods, name_space, name);
  if (!fresh && !fresh.error().is("NotFound")) {
    is_doubtful_ = true;
    co_return fresh.error();
  }
  if (!fresh || client::uid_of(*fresh) != uid_)
    is_removed_ = true;  // gone, or another one of that name
  else if (pod_.is_same(before) || is_newer(*fresh, pod_))
    pod_ = *fresh;
  else
    is_doubtful_ = true;  // a watch event has come meanwhile: which of them is older?
  wake_.set();  // its watch event will be no news any more
  co_return Result<void>{};
}

Task<Result<void>> PodWorker::publish() {
  if (is_doubtful_ && !is_removed_) RN_CO_CHECK(co_await read_again());
  for (int attempt = 0; attempt < 5 && !is_removed_; ++attempt) {
    PodStatusInput input;
    input.state = &state_;
    input.failures = &failures_;
    input.probes = &probes_.results();
    input.runtime_name = context_.node.runtime_name();
    input.host_ips = {context_.options.node_ip};
    input.now_us = to_microseconds(context_.options.clock->now());
    input.is_terminating = is_ending();
    input.forced_phase = forced_phase_;
    input.forced_reason = forced_reason_;
    input.forced_message = forced_message_;
    input.image_refs = context_.node.image_refs();
    const Document wanted = compute_pod_status(pod_, input);
    const Value* before = pod_.root().get(core_v1::Pod::f_status);
    if (before && equal(*before, *wanted.root().get(core_v1::Pod::f_status))) co_return Result<void>{};
    const std::string name_space(view().metadata().namespace_()), name(view().metadata().name());
    auto written = co_await context_.client.update(pods, name_space, name, "status", wanted, {});
    if (written) {
      if (is_newer(*written, pod_)) pod_ = *written;
      co_return Result<void>{};
    }
    if (written.error().is("NotFound")) co_return Result<void>{};  // the watch will say so
    if (!written.error().is("Conflict")) co_return written.error();
    RN_CO_CHECK(co_await read_again());
  }
  if (is_removed_) co_return Result<void>{};
  co_return internal_error("the Pod changes faster than its status can be written");
}

}  // namespace rusternetes::kubelet
