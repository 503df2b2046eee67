#include "kubelet/probe/pod_probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

namespace rusternetes::kubelet {

using Steady = std::chrono::steady_clock;

ContainerFacts facts_of(const core_v1::Pod& pod, const engine::ContainerStatus& container) {
  ContainerFacts out;
  out.name = container.name;
  out.id = container.id;
  out.is_running = container.state == engine::ContainerState::running;
  out.started_at = SystemTime{std::chrono::duration_cast<SystemTime::duration>(std::chrono::nanoseconds(container.started_at_ns))};
  for (const auto& list : {pod.status().containerStatuses(), pod.status().initContainerStatuses()})
    for (const auto status : list)
      if (status.name() == container.name && !container.id.empty() && status.containerID().ends_with(container.id)) {
        out.was_started = status.started();
        out.was_ready = status.ready();
      }
  for (const auto& list : {pod.spec().containers(), pod.spec().initContainers()})
    for (const auto spec : list)
      if (spec.name() == container.name) out.has_readiness_probe = bool(spec.readinessProbe());
  for (const auto condition : pod.status().conditions())
    if (condition.type() == "Ready") out.is_pod_ready = condition.status() == "True";
  return out;
}

namespace {

struct Worker {
  Worker(asio::any_io_executor executor, ProbeKind kind, ContainerRef ref) : probe(kind, ref), wake(std::move(executor)) {}
  ContainerProbe probe;
  AsyncEvent wake;  // asked for a turn, or stopped
  bool is_stopped = false;

  void stop() {
    is_stopped = true;
    wake.set();
  }
};

double any_fraction() {
  static std::minstd_rand source{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(source);
}

}  // namespace

// What the coroutines hold, so that the Pod's worker may end before them.
struct PodProbes::Shared : std::enable_shared_from_this<Shared> {
  Shared(Parts parts, std::function<void()> on_change)
      : parts(parts), results(parts.kubelet_start), on_change(std::move(on_change)) {}

  Parts parts;
  ProbeResults results;
  std::function<void()> on_change;
  Document pod;
  PodRuntimeState state;
  std::vector<std::shared_ptr<Worker>> workers;
  bool is_started = false;

  void start_probes(ContainerRef ref, bool is_adopted) {
    const auto container = container_of(pod_view(pod), ref);
    for (const auto kind : {ProbeKind::startup, ProbeKind::readiness, ProbeKind::liveness}) {
      if (!probe_of(container, kind)) continue;
      auto worker = std::make_shared<Worker>(parts.tasks.executor(), kind, ref);
      results.add_probe(kind, container.name());
      workers.push_back(worker);
      parts.tasks.spawn("probe", run(shared_from_this(), worker, is_adopted));
    }
  }

  void tell_change() {
    if (on_change) on_change();
  }

  static Task<> run(std::shared_ptr<Shared> self, std::shared_ptr<Worker> worker, bool is_adopted);
  Task<bool> turn(std::shared_ptr<Worker> worker);
  void tell(const Worker& worker, const ProbeOutcome& outcome);
};

Task<> PodProbes::Shared::run(std::shared_ptr<Shared> self, std::shared_ptr<Worker> worker, bool is_adopted) {
  const auto spec = probe_of(container_of(pod_view(self->pod), worker->probe.ref()), worker->probe.kind());
  const std::string name(container_of(pod_view(self->pod), worker->probe.ref()).name());
  const std::chrono::seconds period(std::max<std::int64_t>(spec.periodSeconds(10), 1));
  // After a kubelet's restart the probes of all its Pods would else come at once.
  if (is_adopted && self->parts.clock.now() - self->parts.kubelet_start < period) {
    const auto until = Steady::now() + std::chrono::duration_cast<Steady::duration>(period * any_fraction());
    while (!worker->is_stopped) {
      const bool is_woken = co_await worker->wake.wait_until(until);
      if (!is_woken) break;
    }
  }
  auto tick = Steady::now() + period;
  while (!worker->is_stopped) {
    const bool goes_on = co_await self->turn(worker);
    if (!goes_on || worker->is_stopped) break;
    const bool is_asked = co_await worker->wake.wait_until(tick);
    if (is_asked)
      tick = Steady::now() + period;
    else
      while (tick <= Steady::now()) tick += period;
  }
  self->results.remove(worker->probe.kind(), worker->probe.container_id());
  self->results.remove_probe(worker->probe.kind(), name);
  std::erase(self->workers, worker);
}

// One turn; false when there is to be no other.
Task<bool> PodProbes::Shared::turn(std::shared_ptr<Worker> worker) {
  auto& probe = worker->probe;
  const Document document = pod;
  const auto view = pod_view(document);
  const auto container = container_of(view, probe.ref());
  const auto* newest = state.find(container.name());
  const auto facts = newest ? facts_of(view, *newest) : ContainerFacts{};
  ContainerProbe::Scene scene{view, newest, facts.was_started, facts.was_ready, parts.clock.now()};
  bool is_changed = false;
  const auto next = probe.next(scene, results, is_changed);
  if (is_changed) tell_change();
  if (next != ContainerProbe::Turn::probe) co_return next == ContainerProbe::Turn::wait;
  std::string ip = state.pod_ips.empty() ? std::string(view.status().podIP()) : state.pod_ips.front();
  const std::string id = probe.container_id();
  auto outcome = co_await parts.prober.probe(document, probe.ref(), probe.kind(), id, std::move(ip));
  const auto* now = state.find(container.name());
  if (worker->is_stopped || !now || now->id != id) co_return !worker->is_stopped;  // too late: of a container that is no more
  tell(*worker, outcome);
  if (!outcome.error.empty()) co_return true;
  if (probe.take(probe_of(container, probe.kind()), outcome.is_success(), results)) tell_change();
  co_return true;
}

void PodProbes::Shared::tell(const Worker& worker, const ProbeOutcome& outcome) {
  using Kind = ProbeOutcome::Kind;
  const auto kind = to_string(worker.probe.kind());
  const std::string where = field_path(pod_view(pod), worker.probe.ref());
  if (!outcome.error.empty())
    parts.events.warning(pod, "v1", "Pod", "Unhealthy",
                         fmt::format("{} probe errored and resulted in {} state: {}", kind, to_string(outcome.kind), outcome.error), where);
  else if (outcome.kind == Kind::warning)
    parts.events.warning(pod, "v1", "Pod", "ProbeWarning", fmt::format("{} probe warning: {}", kind, outcome.output), where);
  else if (outcome.kind == Kind::failure)
    parts.events.warning(pod, "v1", "Pod", "Unhealthy", fmt::format("{} probe failed: {}", kind, outcome.output), where);
}

PodProbes::PodProbes(Parts parts, std::function<void()> on_change) : shared_(std::make_shared<Shared>(parts, std::move(on_change))) {}

PodProbes::~PodProbes() {
  shared_->on_change = nullptr;
  stop();
}

void PodProbes::start(const Document& pod, bool is_adopted) {
  if (shared_->is_started) return;
  shared_->is_started = true;
  shared_->pod = pod;
  const auto view = pod_view(pod);
  for (std::size_t i = 0; i < view.spec().containers().size(); ++i) shared_->start_probes({false, i}, is_adopted);
  for (std::size_t i = 0; i < view.spec().initContainers().size(); ++i)
    if (is_sidecar(view.spec().initContainers()[i])) shared_->start_probes({true, i}, is_adopted);
}

void PodProbes::observe(const Document& pod, const PodRuntimeState& state) {
  if (shared_->workers.empty()) return;
  shared_->pod = pod;
  shared_->state = state;
}

void PodProbes::trigger_unready() {
  for (const auto& worker : shared_->workers) {
    if (worker->probe.kind() != ProbeKind::readiness) continue;
    const auto view = pod_view(shared_->pod);
    const auto* container = shared_->state.find(container_of(view, worker->probe.ref()).name());
    if (container && shared_->results.wants_readiness(facts_of(view, *container))) worker->wake.set();
  }
}

void PodProbes::stop_liveness_and_startup() {
  for (const auto& worker : shared_->workers)
    if (worker->probe.kind() != ProbeKind::readiness) worker->stop();
}

void PodProbes::stop() {
  for (const auto& worker : shared_->workers) worker->stop();
}

const ProbeResults& PodProbes::results() const { return shared_->results; }

}  // namespace rusternetes::kubelet
