#pragma once
// What a Pod's probes have found, by container id, and what that makes of its containers: started, ready. Plain data; the
// coroutines of pod_probes.h fill it, pod_actions.h and pod_status.h read it.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace rusternetes::kubelet {

enum class ProbeKind { liveness, readiness, startup };
// "Liveness", as events say it.
std::string_view to_string(ProbeKind kind);

// `unknown` is a startup probe that has not come to an end yet.
enum class ProbeResult { unknown, success, failure };

// What decides whether a container is started and ready, beside its probes.
struct ContainerFacts {
  std::string_view name, id;  // the runtime's id
  bool is_running = false;
  SystemTime started_at{};
  bool was_started = false, was_ready = false;  // status said so of this id before
  bool is_pod_ready = false;  // status says so of the Pod
  bool has_readiness_probe = false;  // by its spec
};

class ProbeResults {
 public:
  // `kubelet_start`: what had run for ten seconds by then keeps what its Pod's status says until a probe answers. (What status
  // calls ready by its very id stays ready however short it ran: a restart of the kubelet loses no request.)
  explicit ProbeResults(SystemTime kubelet_start = {}) : kubelet_start_(kubelet_start) {}

  std::optional<ProbeResult> get(ProbeKind kind, std::string_view container_id) const;
  // True when that is news.
  bool set(ProbeKind kind, std::string_view container_id, ProbeResult result);
  void remove(ProbeKind kind, std::string_view container_id);

  // Whether a probe of that kind is at work for the container of that name.
  bool has_probe(ProbeKind kind, std::string_view container_name) const;
  void add_probe(ProbeKind kind, std::string_view container_name) { probes_.emplace(kind, container_name); }
  void remove_probe(ProbeKind kind, std::string_view container_name);

  bool ran_before_kubelet(SystemTime started_at) const;
  bool is_started(const ContainerFacts& facts) const;
  bool is_ready(const ContainerFacts& facts) const;
  // Started, but not ready by the word of a probe: worth asking the probe at once.
  bool wants_readiness(const ContainerFacts& facts) const;

 private:
  SystemTime kubelet_start_;
  std::map<std::pair<ProbeKind, std::string>, ProbeResult> results_;
  std::set<std::pair<ProbeKind, std::string>> probes_;
};

}  // namespace rusternetes::kubelet
