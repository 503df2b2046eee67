// The ending half of a Pod's life: graceful stops, the last status, and taking everything away.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "kubelet/pod/pod_worker.h"
#include "kubelet/container/resources.h"

namespace rusternetes::kubelet {

using std::chrono::seconds;

namespace {
constexpr client::Resource pods{"", "v1", "pods"};
constexpr auto kRetry = seconds(2);
constexpr auto kLeastGrace = seconds(1);
}  // namespace

// When the last container is to be killed. The grace counts from when the end began here; it may be shortened later.
SystemTime PodWorker::end_deadline() {
  const auto now = context_.options.clock->now();
  if (!end_began_) end_began_ = now;
  seconds grace = grace_of(view());
  if (view().metadata().has_deletionGracePeriodSeconds()) grace = clamped_seconds(view().metadata().deletionGracePeriodSeconds());
  if (is_removed_ && !is_orphan_) grace = kLeastGrace;  // taken away by force: nobody waits for it
  grace = std::max(grace, kLeastGrace);
  if (!end_grace_ || grace < *end_grace_) {
    // A later, shorter word counts from when it came.
    if (end_grace_ && now + grace < *end_began_ + *end_grace_)
      end_grace_ = std::chrono::ceil<seconds>(now - *end_began_) + grace;
    else if (!end_grace_)
      end_grace_ = grace;
  }
  return *end_began_ + *end_grace_;
}

Task<PodWorker::Deadline> PodWorker::end_pod() {
  probes_.stop_liveness_and_startup();
  if (stop_next_group(end_deadline())) {
    auto published = co_await publish();
    if (!published) log::debug("kubelet", "status of pod {}: {}", full_name(view()), published.error().message);
    probes_.trigger_unready();
    const auto next = published ? after(context_.options.sync_frequency) : after(kRetry);
    co_return std::min(next, next_grace_end().value_or(next));
  }
  probes_.stop();
  auto published = co_await publish();
  if (!published) {
    log::warn("kubelet", "last status of pod {}: {}", full_name(view()), published.error().message);
    co_return after(kRetry);
  }
  if (!is_taken_down_) {
    auto down = co_await take_down();
    if (!down) {
      log::warn("kubelet", "pod {} cannot be taken down: {}", full_name(view()), down.error().message);
      co_return after(kRetry);
    }
    is_taken_down_ = true;
  }
  if (!is_removed_ && !is_deleting(view())) co_return after(std::chrono::hours(1));  // completed: its logs stay
  auto removed = co_await remove_everything();
  if (removed && !is_removed_) removed = co_await delete_from_api();
  if (!removed) {
    log::warn("kubelet", "pod {} cannot be removed: {}", full_name(view()), removed.error().message);
    co_return after(kRetry);
  }
  is_finished_ = true;
  co_return after({});
}

// The sandbox ends; dead containers stay for their logs.
Task<Result<void>> PodWorker::take_down() {
  const auto sandboxes = state_.sandboxes;
  auto unwired = co_await context_.network.unwire(uid_);
  if (!unwired) co_return unwired.error();
  for (const auto& sandbox : sandboxes) {
    auto stopped = co_await context_.runtime.stop_pod_sandbox(sandbox.id);
    if (!stopped) co_return stopped.error();
  }
  context_.network.pool().release(uid_);
  auto volumes = co_await context_.volumes.remove_volumes(uid_);
  if (!volumes) co_return volumes.error();
  co_return Result<void>{};
}

Task<Result<void>> PodWorker::remove_everything() {
  const auto sandboxes = state_.sandboxes;
  for (const auto& sandbox : sandboxes) {
    auto removed = co_await context_.runtime.remove_pod_sandbox(sandbox.id);
    if (!removed) co_return removed.error();
  }
  const auto containers = state_.containers;  // of sandboxes that are gone
  for (const auto& container : containers) {
    auto removed = co_await context_.runtime.remove_container(container.id);
    if (!removed) co_return removed.error();
  }
  auto cleaned = co_await context_.volumes.remove(uid_);
  if (!cleaned) co_return cleaned.error();
  context_.images.forget(uid_);
  std::vector<std::string> groups;
  for (const auto qos : {QosClass::guaranteed, QosClass::burstable, QosClass::best_effort})
    groups.push_back(context_.runtime.pod_cgroup_path(qos_cgroup(context_.options.cgroup_root, qos) + "/pod" + uid_));
  const std::string logs = context_.options.log_dir + "/" + log_folder(view());
  auto clean = [logs] {
    std::error_code ec;
    std::filesystem::remove_all(logs, ec);
  };
  co_await context_.files.run(clean);
  context_.tasks.spawn("remove cgroups", remove_cgroups(context_, std::move(groups)));
  co_return Result<void>{};
}

// Containers' monitors leave a moment after them; an exec's may stay for minutes: the housekeeping takes those.
Task<> PodWorker::remove_cgroups(WorkerContext& context, std::vector<std::string> groups) {
  const auto& cgroups = context.cgroups;
  auto remove = [&cgroups, groups]() -> Result<void> {
    Result<void> out;
    for (const auto& group : groups)
      if (auto removed = cgroups.remove(group); !removed) out = std::move(removed);
    return out;
  };
  for (auto pause = std::chrono::milliseconds(20);; pause *= 2) {
    auto removed = co_await context.files.run(remove);
    if (removed) co_return;
    if (pause > std::chrono::seconds(5)) {
      log::debug("kubelet", "{}", removed.error().message);
      co_return;
    }
    co_await sleep_for(pause);
  }
}

Task<Result<void>> PodWorker::delete_from_api() {
  client::RemoveOptions options;
  options.grace_period_s = 0;
  options.uid = uid_;
  auto removed = co_await context_.client.remove(pods, std::string(view().metadata().namespace_()), std::string(view().metadata().name()), options);
  // NotFound: somebody was faster. Conflict: another Pod has the name by now.
  if (!removed && !removed.error().is("NotFound") && !removed.error().is("Conflict")) co_return removed.error();
  co_return Result<void>{};
}

}  // namespace rusternetes::kubelet
