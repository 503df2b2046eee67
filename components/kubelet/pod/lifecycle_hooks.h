#pragma once
// Runs what a container's lifecycle asks for: a command in it, a GET to it, or a sleep. Belongs to one executor.

#include <string>

#include "base/task.h"
#include "client/event_recorder.h"
#include "engine/runtime.h"
#include "kubelet/pod/pod.h"
#include "kubelet/probe/prober.h"

namespace rusternetes::kubelet {

enum class Hook { post_start, pre_stop };

core_v1::LifecycleHandler hook_of(const core_v1::Container& container, Hook hook);

struct HookOutcome {
  bool is_ok = true;
  std::string message;  // why not; may name secrets of the Pod, so it goes into its status, and into no event
};

class LifecycleHooks {
 public:
  // `prober` has the sockets of the node's namespace. All outlive the hooks.
  LifecycleHooks(engine::Runtime& runtime, client::EventRecorder& events, const Prober& prober)
      : runtime_(runtime), events_(events), prober_(prober) {}

  // Takes as long as the hook does: whoever has no such time stops waiting. What an HTTP server answers does not matter,
  // only that it does.
  Task<HookOutcome> run(Document pod, ContainerRef ref, Hook hook, std::string container_id, std::string pod_ip);

 private:
  Task<std::string> get(Document pod, core_v1::HTTPGetAction action, core_v1::Container container, std::string pod_ip);
  engine::Runtime& runtime_;
  client::EventRecorder& events_;
  const Prober& prober_;
};

}  // namespace rusternetes::kubelet
