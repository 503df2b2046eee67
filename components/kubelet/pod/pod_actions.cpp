#include "kubelet/pod/pod_actions.h"

#include <fmt/format.h>

#include <algorithm>

namespace rusternetes::kubelet {

using engine::ContainerState;
using engine::ContainerStatus;

std::string back_off_key(const core_v1::Pod& pod, std::string_view container_name) {
  return fmt::format("{}/{}", pod.metadata().uid(), container_name);
}

bool needs_sandbox(const core_v1::Pod& pod, const PodRuntimeState& state, std::uint32_t* attempt) {
  std::uint32_t next = 0;
  bool needed = true;
  if (const auto* newest = state.sandbox()) {
    next = newest->attempt + 1;
    const auto ready = std::count_if(state.sandboxes.begin(), state.sandboxes.end(), [](const auto& sandbox) {
      return sandbox.state == engine::SandboxState::ready;
    });
    const bool is_own = newest->network == engine::SandboxNetwork::own;
    needed = ready != 1 || newest->state != engine::SandboxState::ready || is_own == is_host_network(pod) ||
             (is_own && state.pod_ips.empty());
  }
  if (attempt) *attempt = next;
  return needed;
}

bool should_be_started(const core_v1::Container& container, const core_v1::Pod& pod, const PodRuntimeState& state) {
  if (is_deleting(pod)) return false;
  const auto* status = state.find(container.name());
  if (!status) return true;
  if (status->state == ContainerState::running) return false;
  if (status->state != ContainerState::exited) return true;
  return restarts_after(container, pod, status->exit_code);
}

bool has_begun(const core_v1::Pod& pod, const PodRuntimeState& state, std::string_view ephemeral_container) {
  if (const auto* status = state.find(ephemeral_container); status && status->state != ContainerState::created) return true;
  for (const auto status : pod.status().ephemeralContainerStatuses())
    if (status.name() == ephemeral_container && status.state().terminated()) return true;
  return false;
}

std::optional<SystemTime> last_end(const PodRuntimeState& state, const FailedStarts& failed_starts, std::string_view name,
                                   const Replaced& replaced) {
  std::optional<SystemTime> out;
  const ContainerStatus* status = nullptr;
  for (const auto& container : state.containers)
    if (!status && container.name == name && !replaced.contains(container.id)) status = &container;
  if (status && status->state == ContainerState::exited && status->finished_at_ns > 0)
    out = SystemTime{std::chrono::duration_cast<SystemTime::duration>(std::chrono::nanoseconds(status->finished_at_ns))};
  if (auto failed = failed_starts.find(name); failed != failed_starts.end() && (!out || *out < failed->second)) out = failed->second;
  return out;
}

namespace {

class Decision {
 public:
  Decision(const core_v1::Pod& pod, const PodRuntimeState& state, const BackOff& back_off, const FailedStarts& failed_starts,
           SystemTime now, const ProbeResults& probes, const Replaced& replaced)
      : pod_(pod),
        spec_(pod.spec()),
        state_(state),
        back_off_(back_off),
        failed_starts_(failed_starts),
        now_(now),
        probes_(probes),
        replaced_(replaced) {}

  PodActions run() {
    if (needs_sandbox(pod_, state_, &out_.sandbox_attempt)) {
      decide_new_sandbox();
      return std::move(out_);
    }
    sandbox_id_ = state_.sandbox()->id;
    decide_ephemeral_containers();
    if (!decide_init_containers()) return std::move(out_);
    decide_containers();
    return std::move(out_);
  }

 private:
  void decide_new_sandbox() {
    out_.kill_pod = out_.create_sandbox = true;
    bool has_work = false;
    bool was_initialized = false;
    bool has_run = false;
    bool has_restart = false;
    for (const auto container : spec_.containers()) {
      const auto* status = state_.find(container.name());
      const bool has_ended = status && status->state == ContainerState::exited;
      const bool restarts = has_ended && restarts_after(container, pod_, status->exit_code);
      if (status) was_initialized = true;
      if (status && status->state != ContainerState::created) has_run = true;
      if (restarts) has_restart = true;
      if (!has_ended || restarts) has_work = true;
    }
    // A Pod that runs once and has run is not run again because its sandbox is gone. One that came no further than its
    // init containers has not run: a kubelet leaves it Pending for ever, here it begins again.
    const bool runs_once = spec_.restartPolicy() == "Never" && !has_restart;
    if (runs_once && out_.sandbox_attempt != 0 && has_run) {
      out_.create_sandbox = false;
      return;
    }
    if (!has_work && was_initialized) {
      out_.create_sandbox = false;
      return;
    }
    if (spec_.initContainers().size() > 0) {
      start({true, 0});
      return;
    }
    for (std::size_t i = 0; i < spec_.containers().size(); ++i)
      if (should_be_started(spec_.containers()[i], pod_, state_)) start({false, i});
  }

  // Whatever else runs or waits; and once, since none is ever started again.
  void decide_ephemeral_containers() {
    const auto all = ephemeral_containers(pod_);
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!has_begun(pod_, state_, all[i].name())) start({false, i, true});
  }

  // True once the regular containers may run. From the last init container backwards, since the earlier ones may have
  // been collected meanwhile; only what belongs to this sandbox counts.
  bool decide_init_containers() {
    const auto inits = spec_.initContainers();
    if (inits.empty()) return true;
    bool is_initialized = false;
    for (const auto container : spec_.containers()) {
      const auto* status = state_.find(container.name(), sandbox_id_);
      if (status && status->state != ContainerState::unknown) is_initialized = true;
    }
    const bool was_initialized = is_initialized;
    std::vector<ContainerRef> starts;
    bool seen_any = false;
    for (std::size_t i = inits.size(); i-- > 0;) {
      const auto container = inits[i];
      const auto* status = state_.find(container.name(), sandbox_id_);
      if (!status) {
        if (was_initialized && is_sidecar(container)) starts.push_back({true, i});
        continue;
      }
      if (was_initialized && !is_sidecar(container)) continue;
      const bool is_last = i + 1 == inits.size();
      seen_any = true;
      if (status->state == ContainerState::running) {
        // A regular one works: nothing to do but to wait.
        if (is_sidecar(container) && decide_running_sidecar(container, *status, {true, i}, starts)) {
          if (is_last)
            is_initialized = true;
          else if (!was_initialized)
            starts.push_back({true, i + 1});
        }
      } else if (status->state == ContainerState::exited && !is_sidecar(container)) {
        if (status->exit_code != 0) {
          if (!restarts_after(container, pod_, status->exit_code)) {
            out_.kill_pod = true;
            out_.containers_to_kill.clear();
            return false;
          }
          starts.push_back({true, i});
        } else if (is_last) {
          is_initialized = true;
        } else {
          starts.push_back({true, i + 1});
        }
      } else {
        starts.push_back({true, i});  // created and never started, or a sidecar that ended
      }
      if (!was_initialized) {
        // What comes before has succeeded, or this one would not exist; only sidecars among them are kept running.
        for (std::size_t before = i; before-- > 0;) {
          if (!is_sidecar(inits[before])) continue;
          const auto* earlier = state_.find(inits[before].name(), sandbox_id_);
          if (!earlier || earlier->state != ContainerState::running) starts.push_back({true, before});
        }
        break;
      }
    }
    if (!seen_any && !was_initialized) starts.push_back({true, 0});
    std::sort(starts.begin(), starts.end(), [](auto a, auto b) { return a.index < b.index; });
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    for (const auto ref : starts) {
      const auto* status = state_.find(inits[ref.index].name(), sandbox_id_);
      if (!status || status->state != ContainerState::running) start(ref);
      else if (is_being_killed(status->id)) start(ref);
    }
    return is_initialized;
  }

  // True when the next one may start. A sidecar's liveness does not matter to those after it.
  bool decide_running_sidecar(const core_v1::Container& container, const ContainerStatus& status, ContainerRef ref,
                              std::vector<ContainerRef>& starts) {
    const auto end = [&](std::string_view why, std::optional<std::chrono::seconds> grace) {
      kill(status, fmt::format("Init container {} {}", container.name(), why), grace);
      starts.push_back(ref);
    };
    if (container.startupProbe()) {
      const auto startup = probes_.get(ProbeKind::startup, status.id);
      if (startup == ProbeResult::failure) end("failed startup probe", grace_of(container.startupProbe()));
      if (startup != ProbeResult::success) return false;
    }
    if (has_changed(container, status))
      end("definition changed", {});
    else if (container.livenessProbe() && probes_.get(ProbeKind::liveness, status.id) == ProbeResult::failure)
      end("failed liveness probe", grace_of(container.livenessProbe()));
    return true;
  }

  static std::optional<std::chrono::seconds> grace_of(const core_v1::Probe& probe) {
    if (!probe.has_terminationGracePeriodSeconds()) return {};
    return clamped_seconds(probe.terminationGracePeriodSeconds());
  }

  void decide_containers() {
    std::size_t kept = 0;
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < spec_.containers().size(); ++i) {
      const auto container = spec_.containers()[i];
      const auto* status = state_.find(container.name());
      if (!status || status->state != ContainerState::running) {
        if (should_be_started(container, pod_, state_)) {
          start({false, i});
          ++wanted;
        }
        continue;
      }
      std::string why;
      std::optional<std::chrono::seconds> grace;
      // The rules of a container ask for its exit code, which one that runs has not.
      bool restarts = (container.has_restartPolicy() ? container.restartPolicy() : spec_.restartPolicy()) != "Never";
      if (has_changed(container, *status)) {
        why = "definition changed";
        restarts = true;
      } else if (probes_.get(ProbeKind::liveness, status->id) == ProbeResult::failure) {
        why = "failed liveness probe";
        grace = grace_of(container.livenessProbe());
      } else if (probes_.get(ProbeKind::startup, status->id) == ProbeResult::failure) {
        why = "failed startup probe";
        grace = grace_of(container.startupProbe());
      } else {
        ++kept;
        continue;
      }
      if (restarts) {
        start({false, i});
        ++wanted;
      }
      kill(*status, fmt::format("Container {} {}{}", container.name(), why, restarts ? ", will be restarted" : ""), grace);
    }
    if (kept == 0 && wanted == 0) {
      out_.kill_pod = true;
      out_.containers_to_start.clear();  // a sidecar does not outlive what it serves
      out_.in_back_off.clear();
    }
  }

  static bool has_changed(const core_v1::Container& container, const ContainerStatus& status) {
    return !status.image.empty() && status.image != container.image();
  }

  void kill(const ContainerStatus& status, std::string message, std::optional<std::chrono::seconds> grace) {
    out_.containers_to_kill.push_back({status.id, status.name, std::move(message), grace});
  }
  bool is_being_killed(const std::string& id) const {
    return std::any_of(out_.containers_to_kill.begin(), out_.containers_to_kill.end(),
                       [&](const auto& kill) { return kill.id == id; });
  }

  // Starts it, now or after the back-off of its last end.
  void start(ContainerRef ref) {
    const auto container = container_of(pod_, ref);
    const std::string key = back_off_key(pod_, container.name());
    const auto ended = last_end(state_, failed_starts_, container.name(), replaced_);
    if (ended && back_off_.is_waiting(key, *ended, now_)) {
      const auto until = back_off_.wait_end(key, *ended);
      out_.in_back_off.push_back({ref, back_off_.delay(key), until});
      if (!out_.next || until < *out_.next) out_.next = until;
      return;
    }
    out_.containers_to_start.push_back(ref);
  }

  const core_v1::Pod& pod_;
  core_v1::PodSpec spec_;
  const PodRuntimeState& state_;
  const BackOff& back_off_;
  const FailedStarts& failed_starts_;
  SystemTime now_;
  const ProbeResults& probes_;
  const Replaced& replaced_;
  std::string sandbox_id_;
  PodActions out_;
};

}  // namespace

PodActions compute_pod_actions(const core_v1::Pod& pod, const PodRuntimeState& state, const BackOff& back_off,
                               const FailedStarts& failed_starts, SystemTime now, const ProbeResults& probes, const Replaced& replaced) {
  return Decision(pod, state, back_off, failed_starts, now, probes, replaced).run();
}

std::vector<std::vector<const ContainerStatus*>> termination_order(const core_v1::Pod& pod, const PodRuntimeState& state) {
  std::vector<std::vector<const ContainerStatus*>> out;
  std::vector<const ContainerStatus*> first;
  const auto last = sidecars(pod);
  for (const auto& container : state.containers)
    if (container.state == ContainerState::running && std::find(last.begin(), last.end(), container.name) == last.end())
      first.push_back(&container);
  if (!first.empty()) out.push_back(std::move(first));
  for (auto name = last.rbegin(); name != last.rend(); ++name)
    for (const auto& container : state.containers)
      if (container.state == ContainerState::running && container.name == *name) out.push_back({&container});
  return out;
}

}  // namespace rusternetes::kubelet
