#pragma once
// One probe of one container without its I/O: when it is made, what its answers add up to. A plain function of what the
// runtime has of the container, the answers so far, and `now`.

#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/runtime.h"
#include "kubelet/pod/pod.h"
#include "kubelet/probe/results.h"

namespace rusternetes::kubelet {

// Null when the container has none of that kind.
core_v1::Probe probe_of(const core_v1::Container& container, ProbeKind kind);

class ContainerProbe {
 public:
  ContainerProbe(ProbeKind kind, ContainerRef ref) : kind_(kind), ref_(ref) {}

  // What a turn of the probe finds; each is known only while the turn lasts.
  struct Scene {
    const core_v1::Pod& pod;
    const engine::ContainerStatus* container = nullptr;  // the newest of its name; null: none yet
    bool was_started = false, was_ready = false;         // status says so of that container
    SystemTime now{};
  };
  enum class Turn {
    wait,   // nothing to ask now
    probe,  // ask, and give take() the answer
    end,    // never again
  };
  // `is_changed` says whether a result in `results` is news.
  Turn next(const Scene& scene, ProbeResults& results, bool& is_changed);
  // An answer of the container that next() named. True when its result is news.
  bool take(const core_v1::Probe& spec, bool is_success, ProbeResults& results);

  ProbeKind kind() const { return kind_; }
  ContainerRef ref() const { return ref_; }
  const std::string& container_id() const { return container_id_; }

 private:
  const ProbeKind kind_;
  const ContainerRef ref_;
  std::string container_id_;
  std::optional<bool> last_;
  int run_ = 0;               // equal answers in a row
  bool is_on_hold_ = false;   // its container is to be killed, or has started: until there is another one
};

}  // namespace rusternetes::kubelet
