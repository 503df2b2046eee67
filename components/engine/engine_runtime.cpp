#include "engine/engine_runtime.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "engine/dialect.h"
#include "engine/host_facts.h"
#include "engine/image_builder.h"

namespace rusternetes::engine {

// Between attempts to listen for events again.
constexpr std::chrono::milliseconds kLeastPause{100}, kMostPause{5000};

Task<AsyncSemaphore::Hold> AsyncSemaphore::acquire() {
  while (free_ == 0) {
    struct Place {
      std::list<AsyncEvent>& list;
      std::list<AsyncEvent>::iterator at;
      ~Place() { list.erase(at); }
    } place{waiting_, waiting_.emplace(waiting_.end(), executor_)};
    co_await place.at->wait();
  }
  --free_;
  co_return Hold(this);
}

void AsyncSemaphore::release() {
  ++free_;
  // All of them look again: one that was woken and then cancelled must not keep the place from the others.
  for (auto& event : waiting_) event.set();
}

void split_labels(const Labels& all, Labels& labels, Labels& annotations) {
  constexpr std::string_view prefix = label::kAnnotationPrefix;
  for (const auto& [key, value] : all) {
    if (key.starts_with(prefix))
      annotations[key.substr(prefix.size())] = value;
    else if (!key.starts_with(label::kOwnPrefix))
      labels[key] = value;
  }
}

std::string label_value(const Labels& labels, std::string_view key) {
  auto found = labels.find(std::string(key));
  return found == labels.end() ? std::string() : found->second;
}

std::uint32_t label_number(const Labels& labels, std::string_view key) {
  auto text = label_value(labels, key);
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool kill_container_process(int pid, std::string_view container_id) {
  if (pid <= 1) return false;
  // The number may be another process's by now: its cgroup names the container, on both engines.
  auto cgroups = read_small_file(fmt::format("/proc/{}/cgroup", pid));
  if (cgroups.find(container_id) == std::string::npos) return false;
  // Its children too, where it leads their group, as an exec's process does: a shell's command would run on alone.
  return ::kill(::getpgid(pid) == pid ? -pid : pid, SIGKILL) == 0;
}

std::unique_ptr<Runtime> make_runtime(Engine& engine, RuntimeOptions options) {
  return std::make_unique<EngineRuntime>(engine, std::move(options));
}

EngineRuntime::EngineRuntime(Engine& engine, RuntimeOptions options)
    : engine_(engine),
      options_(std::move(options)),
      starts_(engine.executor(), std::max(1, options_.parallel_starts)) {}

Task<Result<RuntimeVersion>> EngineRuntime::version() {
  auto learned = co_await engine_.learn();
  if (!learned) co_return std::move(learned).error();
  const auto& info = engine_.info();
  co_return RuntimeVersion{std::string(to_string(info.kind)), info.version, info.cgroup_driver,
                           info.cgroup_version};
}

Task<RuntimeStatus> EngineRuntime::status() {
  auto answer = co_await engine_.ping();
  if (answer) co_return RuntimeStatus{true, {}, {}};
  co_return RuntimeStatus{false, answer.error().reason, answer.error().message};
}

std::string EngineRuntime::pod_cgroup_path(std::string_view cgroup_parent) const {
  return cgroup_parent_path(cgroup_parent, engine_.info().cgroup_driver);
}

Task<Result<void>> EngineRuntime::ensure_pause_image() {
  if (has_pause_image_) co_return Result<void>();
  auto image = co_await engine_.inspect_image(options_.pause_image);
  if (!image && !image.error().is("NotFound")) co_return std::move(image).error();
  if (options_.pause_program.empty()) {
    if (!image) co_return std::move(image).error();
  } else {
    auto built = build_pause_image(options_.pause_program, options_.pause_image);
    if (!built) co_return std::move(built).error();
    // Another build's pause under our tag is replaced.
    if (!image || image->id != built->ids[0]) {
      auto loaded = co_await engine_.load_images(std::move(built->tar));
      if (!loaded) co_return std::move(loaded).error();
    }
  }
  has_pause_image_ = true;
  co_return Result<void>();
}

Task<Result<std::string>> EngineRuntime::create_pause(ContainerSpec spec) {
  auto image = co_await ensure_pause_image();
  if (!image) co_return std::move(image).error();
  auto id = co_await create_replacing(spec);
  if (id || !id.error().is("NotFound")) co_return std::move(id);
  // Somebody removed the image since it was seen: a prune of unused ones takes it while no Pod runs.
  has_pause_image_ = false;
  image = co_await ensure_pause_image();
  if (!image) co_return std::move(image).error();
  co_return co_await create_replacing(std::move(spec));
}

Task<Result<std::string>> EngineRuntime::create_replacing(ContainerSpec spec) {
  auto id = co_await engine_.create_container(spec);
  if (id || !id.error().is("AlreadyExists")) co_return std::move(id);
  auto old = co_await inspect_own(spec.name, label_value(spec.labels, label::kKind));
  if (!old || old->state != ContainerState::created) co_return std::move(id);
  log::info("runtime", "replacing {}, which was created but never started", spec.name);
  auto removed = co_await engine_.remove_container(old->id, true);
  if (!removed) co_return std::move(removed).error();
  co_return co_await engine_.create_container(std::move(spec));
}

Task<Result<void>> EngineRuntime::start_limited(std::string id) {
  auto hold = co_await starts_.acquire();
  co_return co_await engine_.start_container(std::move(id));
}

Task<Result<ContainerDetails>> EngineRuntime::inspect_own(std::string id, std::string_view kind) {
  auto details = co_await engine_.inspect_container(id);
  if (!details) co_return std::move(details).error();
  if (label_value(details->labels, label::kOwner) != options_.owner ||
      label_value(details->labels, label::kKind) != kind)
    co_return Status{404, "NotFound", fmt::format("{} {} not found", kind, id), nullptr};
  co_return std::move(details);
}

Task<Result<std::vector<ContainerSummary>>> EngineRuntime::list_own(std::string_view kind,
                                                                    std::string pod_uid,
                                                                    std::string sandbox_id) {
  Labels wanted{{label::kOwner, options_.owner}, {label::kKind, std::string(kind)}};
  if (!pod_uid.empty()) wanted[label::kPodUid] = pod_uid;
  if (!sandbox_id.empty()) wanted[label::kSandboxId] = sandbox_id;
  auto list = co_await engine_.list_containers(std::move(wanted));
  if (!list) co_return std::move(list).error();
  for (auto& item : *list)
    if (item.state == ContainerState::running && engine_.is_gone(item.pid))
      item.state = ContainerState::exited;
  co_return std::move(list);
}

Task<Result<void>> EngineRuntime::stop_quietly(std::string id, int grace_seconds) {
  auto stopped = co_await engine_.stop_container(id, grace_seconds);
  if (stopped || stopped.error().is("NotFound")) co_return Result<void>();
  // One that never ran, or that ended just now, is refused in each engine's own way.
  auto details = co_await engine_.inspect_container(id);
  if (details && (details->state != ContainerState::running || engine_.is_gone(details->pid)))
    co_return Result<void>();
  if (!details && details.error().is("NotFound")) co_return Result<void>();
  co_return std::move(stopped);
}

Task<Result<ImageDetails>> EngineRuntime::image_status(std::string reference) {
  return engine_.inspect_image(std::move(reference));
}
Task<Result<std::vector<ImageSummary>>> EngineRuntime::list_images() { return engine_.list_images(); }
Task<Result<std::string>> EngineRuntime::pull_image(std::string reference, RegistryAuth auth) {
  return engine_.pull_image(std::move(reference), std::move(auth), options_.pull_timeout);
}
Task<Result<void>> EngineRuntime::remove_image(std::string reference) {
  return engine_.remove_image(std::move(reference), false);
}

Task<> EngineRuntime::watch_events(std::function<void(const RuntimeEvent&)> on_event) {
  auto pass_on = [this, &on_event](const EngineEvent& event) {
    if (label_value(event.attributes, label::kOwner) != options_.owner) return;
    RuntimeEvent out;
    if (event.action == "create")
      out.kind = RuntimeEvent::Kind::created;
    else if (event.action == "start")
      out.kind = RuntimeEvent::Kind::started;
    else if (event.action == "die")
      out.kind = RuntimeEvent::Kind::died;
    else if (event.action == "destroy")
      out.kind = RuntimeEvent::Kind::removed;
    else
      return;
    out.id = event.id;
    const auto kind = label_value(event.attributes, label::kKind);
    out.is_sandbox = kind == "sandbox";
    out.is_holder = kind == "holder";
    out.pod_uid = label_value(event.attributes, label::kPodUid);
    out.time_ns = event.time_ns;
    on_event(out);
  };
  std::chrono::milliseconds pause = kLeastPause;
  for (;;) {
    auto opened = [&on_event, &pause] {
      pause = kLeastPause;
      on_event(RuntimeEvent{});
    };
    auto ended = co_await engine_.stream_events(opened, pass_on);
    if (!ended)
      log::warn("runtime", "events of {} interrupted: {}", engine_.socket_path(), ended.error().message);
    co_await sleep_for(pause);
    pause = std::min(pause * 2, kMostPause);
  }
}

}  // namespace rusternetes::engine
