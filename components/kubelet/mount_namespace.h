#pragma once
// A kubelet that runs in a container sees the host's files under the host's names: volumes, hostPaths, cgroups and
// the engine's socket are then what they are for Pods.

#include <string>

#include "base/status.h"

namespace rusternetes::kubelet {

// Moves the process into the mount namespace at `path` (setns(2)), such as the host's /proc/1/ns/mnt. It must have but
// one thread. Names of files that were given before mean others from now on. In it already: nothing is done.
Result<> enter_mount_namespace(const std::string& path);

}  // namespace rusternetes::kubelet
