#include "kubelet/probe/results.h"

namespace rusternetes::kubelet {

namespace {
constexpr auto kRestartGrace = std::chrono::seconds(10);
}

std::string_view to_string(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::liveness: return "Liveness";
    case ProbeKind::readiness: return "Readiness";
    case ProbeKind::startup: return "Startup";
  }
  return {};
}

std::optional<ProbeResult> ProbeResults::get(ProbeKind kind, std::string_view container_id) const {
  auto it = results_.find({kind, std::string(container_id)});
  return it == results_.end() ? std::nullopt : std::optional(it->second);
}

bool ProbeResults::set(ProbeKind kind, std::string_view container_id, ProbeResult result) {
  const auto [it, is_new] = results_.try_emplace({kind, std::string(container_id)}, result);
  if (is_new) return true;
  return std::exchange(it->second, result) != result;
}

void ProbeResults::remove(ProbeKind kind, std::string_view container_id) { results_.erase({kind, std::string(container_id)}); }

bool ProbeResults::has_probe(ProbeKind kind, std::string_view container_name) const {
  return probes_.contains({kind, std::string(container_name)});
}

void ProbeResults::remove_probe(ProbeKind kind, std::string_view container_name) {
  probes_.erase({kind, std::string(container_name)});
}

bool ProbeResults::ran_before_kubelet(SystemTime started_at) const {
  return started_at != SystemTime{} && started_at < kubelet_start_ - kRestartGrace;
}

bool ProbeResults::is_started(const ContainerFacts& facts) const {
  if (!facts.is_running) return false;
  if (const auto result = get(ProbeKind::startup, facts.id)) return result == ProbeResult::success;
  return facts.was_started || !has_probe(ProbeKind::startup, facts.name);
}

bool ProbeResults::is_ready(const ContainerFacts& facts) const {
  if (!is_started(facts)) return false;
  const auto result = get(ProbeKind::readiness, facts.id);
  if (result) return result == ProbeResult::success || !has_probe(ProbeKind::readiness, facts.name);
  if (facts.was_ready) return true;
  const bool was_ready = facts.is_pod_ready || !facts.has_readiness_probe;
  if (ran_before_kubelet(facts.started_at)) return was_ready;
  return !has_probe(ProbeKind::readiness, facts.name);
}

bool ProbeResults::wants_readiness(const ContainerFacts& facts) const {
  return is_started(facts) && has_probe(ProbeKind::readiness, facts.name) &&
         get(ProbeKind::readiness, facts.id) != ProbeResult::success;
}

}  // namespace rusternetes::kubelet
