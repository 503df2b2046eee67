// postStart: nothing else of the Pod is begun, and nothing is said of the container, before its hook has ended.

#include <utility>

#include "base/log.h"
#include "kubelet/pod/pod_worker.h"

namespace rusternetes::kubelet {

using engine::ContainerState;

std::string PodWorker::pod_ip() const {
  if (is_host_network(view())) return context_.options.node_ip;
  return state_.pod_ips.empty() ? std::string(view().status().podIP()) : state_.pod_ips.front();
}

Task<> PodWorker::run_post_start(std::shared_ptr<PodWorker> self, ContainerRef ref, std::string id,
                                 std::shared_ptr<std::optional<HookOutcome>> out) {
  *out = co_await self->context_.hooks.run(self->pod_, ref, Hook::post_start, std::move(id), self->pod_ip());
  self->wake();
}

// False when the hook failed, and the container has been ended for it. A Pod that is to end does not wait for the hook.
Task<bool> PodWorker::post_start(ContainerRef ref, std::string id) {
  auto outcome = std::make_shared<std::optional<HookOutcome>>();
  context_.tasks.spawn("postStart hook", run_post_start(shared_from_this(), ref, id, outcome));
  while (!*outcome && !is_ending()) {
    auto until = after(context_.options.sync_frequency);
    if (const auto end = active_deadline())
      until = std::min(until, after(std::max<SystemTime::duration>(*end - context_.options.clock->now(), {})));
    (void)co_await wake_.wait_until(until);
    check_active_deadline();
  }
  wake_.set();  // what came meanwhile is still to be looked at
  if (!*outcome || (*outcome)->is_ok) co_return true;
  context_.events.warning(pod_, "v1", "Pod", "FailedPostStartHook", "PostStartHook failed", field_path(view(), ref));
  fail(ref, "PostStartHookError", (*outcome)->message);
  co_await end_after_post_start(ref, std::move(id));
  wake_.set();
  co_return false;
}

Task<> PodWorker::end_after_post_start(ContainerRef ref, std::string id) {
  engine::ContainerStatus container;
  container.id = id;
  container.name = container_of(view(), ref).name();
  const auto until = context_.options.clock->now() + grace_of(view());
  while (!is_ending()) {
    auto now = co_await context_.runtime.container_status(id);
    if (!now && !now.error().is("NotFound")) log::warn("kubelet", "a container whose postStart hook failed: {}", now.error().message);
    if (!now ? now.error().is("NotFound") : now->state != ContainerState::running) break;
    stop(container, until, "FailedPostStartHook");
    const auto again = after(std::chrono::seconds(5));
    (void)co_await wake_.wait_until(std::min(again, next_grace_end().value_or(again)));
  }
}

}  // namespace rusternetes::kubelet
