#pragma once
// How the image of a component is called: here, in a registry of the user's, or as the user says. Pure.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher::images {

// The components that have an image, by the names of their programs; etcd last.
const std::vector<std::string>& component_names();
bool is_component(std::string_view name);  // those, and pause

struct ReferenceChoice {
  std::string registry;                          // --registry, "registry.example/rusternetes"; empty: none
  std::map<std::string, std::string> overrides;  // --image, by component
};

// "COMPONENT=REFERENCE", one for each --image. BadRequest: another form, no such component, no reference, one
// twice.
Result<std::map<std::string, std::string>> parse_image_overrides(const std::vector<std::string>& flags);

// The published image that is to be used, fully qualified: the override, else REGISTRY/COMPONENT:VERSION.
// Nothing when the image is built here. BadRequest for what is no reference.
Result<std::optional<std::string>> reference_of(std::string_view component, std::string_view version,
                                                const ReferenceChoice& choice);

// "localhost/rusternetes/COMPONENT:VERSION-DIGEST", DIGEST being the first 12 hex digits of the image's
// content: two builds of one version are two images, and neither takes the other's name.
std::string local_reference(std::string_view component, std::string_view version, std::string_view content);

}  // namespace rusternetes::launcher::images
