#pragma once
// What each component's container sees as /etc/kubernetes: a folder of its own with the certificates, keys and
// kubeconfigs that it needs, copied out of the cluster's pki folder, and nothing else.

#include "base/status.h"
#include "launcher/home.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {

// Writes what is missing or has changed, and removes the folders of members that are no more. Returns the keys
// of the members whose files have changed: they need a restart.
Result<std::vector<std::string>> write_component_files(const ClusterSettings& settings,
                                                       const ClusterPaths& paths);

}  // namespace rusternetes::launcher
