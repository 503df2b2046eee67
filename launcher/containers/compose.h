#pragma once
// The manifest of a cluster of containers, out of templates/compose/.

#include <map>
#include <string>

#include "launcher/home.h"
#include "launcher/manifest/manifest.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {

// Labels of all that is made for a cluster, beside those of Pods.
inline constexpr const char* cluster_label = "io.rusternetes.cluster";
inline constexpr const char* component_label = "io.rusternetes.component";
inline constexpr const char* key_label = "io.rusternetes.key";    // Member::key
inline constexpr const char* step_label = "io.rusternetes.step";  // which step of a plan makes it

using ImageReferences = std::map<std::string, std::string>;  // component -> reference

// Every component has its reference. The same input gives the same text.
std::string render_manifest(const ClusterSettings& settings, const ClusterPaths& paths,
                            const ImageReferences& images);

}  // namespace rusternetes::launcher
