#pragma once
// Whether what a cluster stands on runs: its process, or the containers of its components.

#include <string>
#include <vector>

#include "launcher/ports/engine_port.h"
#include "launcher/ports/process_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

struct Liveness {
  bool is_running = false;  // some of it
  bool is_whole = false;    // all of it, so that there is nothing to be started
  std::string problem;      // what does not run; empty if it is whole
  ProcessStatus process;    // all-in-one
  std::vector<ComponentContainer> components;
};

// An engine that does not answer runs nothing: no error.
Result<Liveness> look_at(const StepContext& context);

// When what speaks for a node began: the process, or the node's kubelet. What is older was said by another one. The
// epoch where a clock that was set back makes that useless.
SystemTime start_of(const StepContext& context, const Liveness& liveness, const std::string& node);

// "has ended with exit code 3", and so on, of a component that does not run.
std::string end_of(const ComponentContainer& component);

// Of every node of the cluster.
std::vector<std::string> node_names(const ClusterSettings& settings);

}  // namespace rusternetes::launcher
