#pragma once
// What a cluster by hand leaves of its cgroups: those that hold a process, and no other.

#include <chrono>
#include <string>

namespace rusternetes {

// Removes every group without processes from `group` ("/rusternetes-x") down, in every hierarchy below
// `mount`. An engine's monitor of a container that has just gone is waited for, at most `patience`; Pods that
// run on are left alone. Blocking.
void remove_idle_cgroups(const std::string& group, std::chrono::milliseconds patience,
                         const std::string& mount = "/sys/fs/cgroup");

}  // namespace rusternetes
