#pragma once
// Checks side by side, each bounded in time: a file system that hangs or an engine that does not answer keeps
// no other check.

#include <chrono>
#include <functional>
#include <vector>

#include "launcher/doctor/finding.h"

namespace rusternetes::launcher::doctor {

struct Probe {
  std::string what;  // of the finding when it takes too long
  // Owns all it uses: one that takes too long is left to itself, beyond the end of the command.
  std::function<Findings()> examine;
};

// What they find, in their order. One that is not done within `limit` counts as unknown, and so does one that
// throws.
Findings run_probes(std::vector<Probe> probes, std::chrono::milliseconds limit);

}  // namespace rusternetes::launcher::doctor
