#include "kubelet/volumes/payload.h"

#include <fmt/format.h>

namespace rusternetes::kubelet {

Result<void> check_volume_path(std::string_view path) {
  if (path.empty()) return internal_error("invalid path: must not be empty");
  if (path.size() > 4096) return internal_error("invalid path: must be less than or equal to 4096 characters");
  if (path.front() == '/') return internal_error(fmt::format("invalid path: must be relative path: {}", path));
  if (path.starts_with("..")) return internal_error(fmt::format("invalid path: must not start with '..': {}", path));
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part == "..") return internal_error(fmt::format("invalid path: must not contain '..': {}", path));
    if (part.size() > 255) return internal_error("invalid path: filenames must be less than or equal to 255 characters");
    at = end + 1;
  }
  return {};
}

Result<void> check_sub_path(std::string_view path) {
  if (path.starts_with('/')) return internal_error(fmt::format("error SubPath `{}` must not be an absolute path", path));
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return internal_error(fmt::format("unable to provision SubPath `{}`: must not contain '..'", path));
    at = end + 1;
  }
  return {};
}

namespace {

using Strings = apimachinery::MapView<std::string_view>;

Result<void> add_keys(Payload& out, const Strings& data, const Strings& binary, const KeyToPaths& items, std::uint32_t mode,
                      bool is_optional, const char* what) {
  if (items.empty()) {
    for (const auto [key, value] : data) out[std::string(key)] = {std::string(value), mode, {}};
    for (const auto [key, value] : binary) out[std::string(key)] = {std::string(value), mode, {}};
    return {};
  }
  for (const auto item : items) {
    RN_CHECK(check_volume_path(item.path()));
    const bool is_text = data.contains(item.key());
    if (!is_text && !binary.contains(item.key())) {
      if (is_optional) continue;
      return internal_error(fmt::format("references non-existent {} key: {}", what, item.key()));
    }
    out[std::string(item.path())] = {std::string((is_text ? data : binary).get(item.key())),
                                     static_cast<std::uint32_t>(item.mode(mode)), {}};
  }
  return {};
}

}  // namespace

Result<void> add_config_map(Payload& out, const core_v1::ConfigMap& map, const KeyToPaths& items, std::uint32_t mode, bool is_optional) {
  return add_keys(out, map.data(), map.binaryData(), items, mode, is_optional, "config");
}

Result<void> add_secret(Payload& out, const core_v1::Secret& secret, const KeyToPaths& items, std::uint32_t mode, bool is_optional) {
  return add_keys(out, secret.data(), {}, items, mode, is_optional, "secret");
}

Result<void> add_downward(Payload& out, const core_v1::Pod& pod, const apimachinery::ListView<core_v1::DownwardAPIVolumeFile>& items,
                          std::uint32_t mode, const DownwardContext& context) {
  for (const auto item : items) {
    RN_CHECK(check_volume_path(item.path()));
    VolumeFile file;
    file.mode = static_cast<std::uint32_t>(item.mode(mode));
    if (const auto field = item.fieldRef()) {
      RN_TRY(file.bytes, field_value(pod, field.fieldPath(), context));
    } else if (const auto resource = item.resourceFieldRef()) {
      RN_TRY(file.bytes, resource_value(pod, resource, {}, context));
    }
    out[std::string(item.path())] = std::move(file);
  }
  return {};
}

std::uint32_t mode_for_group(std::uint32_t mode) { return mode | ((mode & 0600) >> 3) | 0040; }

}  // namespace rusternetes::kubelet
