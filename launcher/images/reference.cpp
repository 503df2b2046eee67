#include "launcher/images/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "engine/reference.h"
#include "launcher/images/errors.h"

namespace rusternetes::launcher::images {
namespace {

// Versions may hold a '+' ("1.2.0+3.gabcdef"), tags may not.
std::string as_tag(std::string_view version) {
  std::string out(version);
  for (char& c : out)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '.' && c != '-') c = '-';
  return out;
}

Result<std::string> qualified(const std::string& text) {
  auto parsed = engine::parse_reference(text);
  if (!parsed) return bad_request(fmt::format("\"{}\" is not the reference of an image", text));
  return parsed->str();
}

}  // namespace

const std::vector<std::string>& component_names() {
  static const std::vector<std::string> names = {
      "api-server", "controller-manager", "scheduler",  "kubelet", "kube-proxy", "dns",
      "rhino",      "api-proxy",          "host-agent", "etcd"};
  return names;
}

bool is_component(std::string_view name) {
  const auto& names = component_names();
  return name == "pause" || std::find(names.begin(), names.end(), name) != names.end();
}

Result<std::map<std::string, std::string>> parse_image_overrides(const std::vector<std::string>& flags) {
  std::map<std::string, std::string> out;
  for (const std::string& flag : flags) {
    const auto equals = flag.find('=');
    if (equals == std::string::npos)
      return bad_request(fmt::format("--image \"{}\" is not of the form COMPONENT=REFERENCE", flag));
    const std::string component = flag.substr(0, equals);
    if (!is_component(component))
      return bad_request(fmt::format("--image {}: there is no component \"{}\" (there are {}, pause)", flag,
                                     component, fmt::join(component_names(), ", ")));
    RN_TRY(auto reference, qualified(flag.substr(equals + 1)));
    if (!out.emplace(component, std::move(reference)).second)
      return bad_request(fmt::format("--image names {} twice", component));
  }
  return out;
}

Result<std::optional<std::string>> reference_of(std::string_view component, std::string_view version,
                                                const ReferenceChoice& choice) {
  if (const auto found = choice.overrides.find(std::string(component)); found != choice.overrides.end()) {
    RN_TRY(auto reference, qualified(found->second));
    return std::optional(std::move(reference));
  }
  if (choice.registry.empty()) return std::optional<std::string>();
  std::string_view registry = choice.registry;
  while (registry.ends_with('/')) registry.remove_suffix(1);
  RN_TRY(auto reference, qualified(fmt::format("{}/{}:{}", registry, component, as_tag(version))));
  return std::optional(std::move(reference));
}

std::string local_reference(std::string_view component, std::string_view version, std::string_view content) {
  if (content.starts_with("sha256:")) content.remove_prefix(7);
  return fmt::format("localhost/rusternetes/{}:{}-{}", component, as_tag(version), content.substr(0, 12));
}

}  // namespace rusternetes::launcher::images
