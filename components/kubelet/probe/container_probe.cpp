#include "kubelet/probe/container_probe.h"

#include <algorithm>

namespace rusternetes::kubelet {

using engine::ContainerState;

core_v1::Probe probe_of(const core_v1::Container& container, ProbeKind kind) {
  switch (kind) {
    case ProbeKind::liveness: return container.livenessProbe();
    case ProbeKind::readiness: return container.readinessProbe();
    case ProbeKind::startup: return container.startupProbe();
  }
  return {};
}

namespace {

ProbeResult initial_result(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::liveness: return ProbeResult::success;
    case ProbeKind::readiness: return ProbeResult::failure;
    case ProbeKind::startup: return ProbeResult::unknown;
  }
  return ProbeResult::unknown;
}

SystemTime started_at(const engine::ContainerStatus& container) {
  return SystemTime{std::chrono::duration_cast<SystemTime::duration>(std::chrono::nanoseconds(container.started_at_ns))};
}

}  // namespace

ContainerProbe::Turn ContainerProbe::next(const Scene& scene, ProbeResults& results, bool& is_changed) {
  is_changed = false;
  if (has_terminal_phase(scene.pod)) return Turn::end;
  if (!scene.container) return Turn::wait;
  const auto& container = *scene.container;
  const bool is_running = container.state == ContainerState::running;
  const auto spec = container_of(scene.pod, ref_);
  if (container_id_ != container.id) {
    if (!container_id_.empty()) results.remove(kind_, container_id_);
    container_id_ = container.id;
    is_on_hold_ = false;
    const bool ran_before = is_running && results.ran_before_kubelet(started_at(container));
    // Said by a kubelet before this one: nothing is heard of the container's being young until a probe answers.
    const bool is_known = kind_ == ProbeKind::readiness ? scene.was_ready : kind_ == ProbeKind::startup && scene.was_started;
    // That a sidecar had started is what tells an initialized Pod from one that is not.
    if (ref_.is_init && kind_ == ProbeKind::startup && scene.was_started)
      is_changed = results.set(kind_, container_id_, ProbeResult::success);
    else if (!ran_before && !is_known)
      is_changed = results.set(kind_, container_id_, initial_result(kind_));
  }
  if (is_on_hold_) return Turn::wait;
  if (!is_running) {
    is_changed |= results.set(kind_, container_id_, ProbeResult::failure);
    const bool has_ended = container.state == ContainerState::exited;
    return has_ended && !restarts_after(spec, scene.pod, container.exit_code) ? Turn::end : Turn::wait;
  }
  if (is_deleting(scene.pod) && kind_ != ProbeKind::readiness) {
    is_changed |= results.set(kind_, container_id_, ProbeResult::success);
    return Turn::end;
  }
  const auto probe = probe_of(spec, kind_);
  if (std::chrono::floor<std::chrono::seconds>(scene.now - started_at(container)).count() < probe.initialDelaySeconds()) return Turn::wait;
  ContainerFacts facts;
  facts.name = spec.name();
  facts.id = container_id_;
  facts.is_running = true;
  facts.was_started = scene.was_started;
  return results.is_started(facts) == (kind_ == ProbeKind::startup) ? Turn::wait : Turn::probe;
}

bool ContainerProbe::take(const core_v1::Probe& spec, bool is_success, ProbeResults& results) {
  run_ = last_ == is_success ? run_ + 1 : 1;
  last_ = is_success;
  const auto threshold = is_success ? spec.successThreshold(1) : spec.failureThreshold(3);
  if (run_ < threshold) return false;
  const bool is_changed = results.set(kind_, container_id_, is_success ? ProbeResult::success : ProbeResult::failure);
  if (kind_ == ProbeKind::startup || (kind_ == ProbeKind::liveness && !is_success)) {
    is_on_hold_ = true;
    run_ = 0;
  }
  return is_changed;
}

}  // namespace rusternetes::kubelet
