#pragma once
// The containers of a cluster's components, as several steps take them: all that there are, and an end to some.

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "launcher/manifest/manifest.h"
#include "launcher/ports/engine_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// What a store needs to finish what it writes.
inline constexpr std::chrono::seconds component_grace{20};

Result<std::vector<ComponentContainer>> component_containers(StepContext& context);
// The last of several etcd members waits in vain for another one to take its lead. All that it has acknowledged is on its
// disk.
inline constexpr std::chrono::seconds last_member_grace{2};
// Stops and removes those of `all` that are meant, side by side, and after them members of etcd, each of which can hand
// over its lead. None: no error.
Result<> end_those(StepContext& context, const std::vector<ComponentContainer>& all,
                   const std::function<bool(const ComponentContainer&)>& is_meant,
                   std::chrono::seconds grace = component_grace);

// References of what the cluster runs and ran before its last upgrade.
std::set<std::string> images_of(const ClusterSettings& settings);
// Of these, removes from this cluster's engine those of ours that are not in `kept` and that no other cluster of this
// home has. What a cluster of another home uses the engine keeps.
Result<> remove_unused_images(StepContext& context, std::set<std::string> images,
                              const std::set<std::string>& kept);

// As it is written down in the cluster's folder.
Result<Manifest> manifest_of(const StepContext& context);
// Brings those members of it up, from whatever stands.
Result<> bring_up(StepContext& context, const std::vector<std::string>& keys);

}  // namespace rusternetes::launcher
