// How a Pod's containers are ended: preStop hooks of all at once, and then one group after the other its stop signal, all
// within one grace.

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/pod/pod_worker.h"

namespace rusternetes::kubelet {

using std::chrono::seconds;

namespace {
constexpr auto kRetry = seconds(2);
constexpr auto kLeastGrace = seconds(2);  // even a forced deletion lets a process hear its signal
}  // namespace

// Begins to stop the containers; those whose turn it is get their signal. Their ends, and those of their hooks, wake the
// worker. False when none runs any more.
bool PodWorker::stop_next_group(SystemTime until) {
  const auto order = termination_order(view(), state_);
  for (const auto& group : order)
    for (const auto* container : group)
      stop(*container, until, fmt::format("Stopping container {}", container->name), &group == &order.front());
  return !order.empty();
}

void PodWorker::stop(const engine::ContainerStatus& container, SystemTime until, std::string message, bool is_its_turn) {
  const auto now = context_.options.clock->now();
  const auto ref = find_container(container.name);
  auto& stop = stops_.try_emplace(container.id, Stop{until, false, false, {}}).first->second;
  stop.until = std::min(stop.until, until);
  if (told_killing_.insert(container.id).second)
    context_.events.normal(pod_, "v1", "Pod", "Killing", std::move(message),
                           ref ? field_path(view(), *ref) : fmt::format("spec.containers{{{}}}", container.name));
  if (!stop.has_hook_begun) {
    stop.has_hook_begun = true;
    stop.is_hook_done = !ref || !container_of(view(), *ref).lifecycle().has_preStop() || stop.until <= now;
    if (!stop.is_hook_done) context_.tasks.spawn("preStop hook", run_pre_stop(shared_from_this(), *ref, container.id));
  }
  // Neither a hook nor a turn is waited for any longer than the grace.
  if ((!stop.is_hook_done || !is_its_turn) && now < stop.until) return;
  const auto left = std::max(kLeastGrace, std::chrono::ceil<seconds>(stop.until - now));
  if (stop.killed_at && *stop.killed_at <= now + left + seconds(1)) return;  // it is on its way, and not later than this
  stop.killed_at = now + left;
  context_.tasks.spawn("stop container", stop_container(shared_from_this(), container.id, left));
}

std::optional<ContainerRef> PodWorker::find_container(std::string_view name) const {
  for (const bool is_init : {false, true}) {
    const auto list = is_init ? view().spec().initContainers() : view().spec().containers();
    for (std::size_t i = 0; i < list.size(); ++i)
      if (list[i].name() == name) return ContainerRef{is_init, i};
  }
  const auto ephemeral = ephemeral_containers(view());
  for (std::size_t i = 0; i < ephemeral.size(); ++i)
    if (ephemeral[i].name() == name) return ContainerRef{false, i, true};
  return {};
}

// When the first of those that wait for their hook or their turn has no time left.
std::optional<PodWorker::Deadline> PodWorker::next_grace_end() const {
  const auto now = context_.options.clock->now();
  std::optional<SystemTime> first;
  for (const auto& [id, stop] : stops_)
    if (!stop.killed_at && stop.until > now && (!first || stop.until < *first)) first = stop.until;
  if (!first) return {};
  return after(*first - now);
}

Task<> PodWorker::run_pre_stop(std::shared_ptr<PodWorker> self, ContainerRef ref, std::string id) {
  const Document document = self->pod_;
  auto outcome = co_await self->context_.hooks.run(document, ref, Hook::pre_stop, id, self->pod_ip());
  if (!outcome.is_ok)
    self->context_.events.warning(document, "v1", "Pod", "FailedPreStopHook", "PreStopHook failed", field_path(pod_view(document), ref));
  if (auto it = self->stops_.find(id); it != self->stops_.end()) it->second.is_hook_done = true;
  self->wake();
}

Task<> PodWorker::stop_container(std::shared_ptr<PodWorker> self, std::string id, seconds grace) {
  auto stopped = co_await self->context_.runtime.stop_container(id, grace);
  if (!stopped) {
    log::warn("kubelet", "container {} cannot be stopped: {}", id.substr(0, 12), stopped.error().message);
    self->context_.events.warning(self->pod_, "v1", "Pod", "FailedKillPod", "error killing pod: " + stopped.error().message);
    if (auto it = self->stops_.find(id); it != self->stops_.end()) it->second.killed_at.reset();
    co_await sleep_for(kRetry);
  }
  self->runtime_event(id);
}

}  // namespace rusternetes::kubelet
