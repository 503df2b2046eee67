#pragma once
// Cgroups that a cluster's containers were in, taken away from the bottom up.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

struct CgroupRemoval {
  // Relative to each hierarchy's top: "/rusternetes-x".
  std::vector<std::string> groups;
  // How long to wait for the end of what still runs in there; with `must_end` it is killed then, and waited
  // for again.
  std::chrono::milliseconds patience{2000};
  bool must_end = false;
  std::chrono::milliseconds kill_patience{5000};
  std::filesystem::path mount = "/sys/fs/cgroup";
};

// In the unified hierarchy at `mount` and in every one of v1 below it. Absent is success; a group in which
// something runs on is an error only with `must_end`. Waits only for engines' monitors otherwise, whose
// containers have ended.
Result<> remove_cgroups(const CgroupRemoval& wanted);

// What an engine makes of the cluster's cgroup parent: with its cgroupfs driver, and with systemd's.
std::vector<std::string> cgroups_of(const std::string& cluster);

}  // namespace rusternetes::launcher
