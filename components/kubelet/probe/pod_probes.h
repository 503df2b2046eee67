#pragma once
// The probes of one Pod: a coroutine each, which asks at its times, tells events and keeps the results. Belongs to the
// executor of its TaskGroup.

#include <functional>
#include <memory>

#include "base/clock.h"
#include "client/event_recorder.h"
#include "kubelet/pod/runtime_state.h"
#include "kubelet/probe/container_probe.h"
#include "kubelet/probe/prober.h"

namespace rusternetes::kubelet {

class PodProbes {
 public:
  struct Parts {
    Prober& prober;
    client::EventRecorder& events;
    TaskGroup& tasks;
    const Clock& clock;
    SystemTime kubelet_start;
  };
  // `on_change` hears of each new result, until this object ends. The parts outlive the tasks.
  PodProbes(Parts parts, std::function<void()> on_change);
  ~PodProbes();  // stop()
  PodProbes(const PodProbes&) = delete;
  PodProbes& operator=(const PodProbes&) = delete;

  // Once: begins the probes of its containers and sidecars. `is_adopted`: it ran before this kubelet, so the first probes
  // are spread over their period.
  void start(const Document& pod, bool is_adopted);
  // What is now known of the Pod.
  void observe(const Document& pod, const PodRuntimeState& state);
  // Readiness probes of containers that have started and are not ready ask at once.
  void trigger_unready();
  void stop_liveness_and_startup();
  void stop();

  const ProbeResults& results() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// Of a container of the Pod, for ProbeResults; `id` of the runtime.
ContainerFacts facts_of(const core_v1::Pod& pod, const engine::ContainerStatus& container);

}  // namespace rusternetes::kubelet
