#pragma once
// How each component of a cluster of containers says that it is, and what is to be done about it.

#include <string>
#include <vector>

#include "launcher/liveness.h"

namespace rusternetes::launcher {

struct ComponentHealth {
  std::string key;        // Member::key
  bool is_asked = false;  // false: it does not run, or has nothing that could be asked
  bool is_healthy = true;
  std::string message;  // why it is not
};

// Asks all that run, at the same time, at their own addresses; a third of a second at most. In the order of
// members_of(); empty for a cluster of one process.
std::vector<ComponentHealth> ask_components(StepContext& context, const Liveness& liveness);

struct ComponentProblem {
  std::string key;
  std::string problem;  // "has ended with exit code 1"
  std::string advice;
  bool is_serious = true;  // false: it works, for now
};

// Of those that do not run, end often, or are not well. None where no container of the cluster is known.
std::vector<ComponentProblem> component_problems(const ClusterSettings& settings, const Liveness& liveness,
                                                 const std::vector<ComponentHealth>& health);

const ComponentContainer* find_component(const Liveness& liveness, std::string_view key);
// What follows the reference's last colon: the version of what runs. Empty without one.
std::string image_version(std::string_view reference);

}  // namespace rusternetes::launcher
