#pragma once
// The files of volumes that show API objects: ConfigMap, Secret, downward API. Plain functions from objects to files.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "kubelet/container/downward_api.h"
#include "kubelet/container/objects.h"

namespace rusternetes::kubelet {

struct VolumeFile {
  std::string bytes;
  std::uint32_t mode = 0644;
  std::optional<std::int64_t> owner;  // a user id; none: root
};
// By path below the volume, "a/b".
using Payload = std::map<std::string, VolumeFile>;

using KeyToPaths = apimachinery::ListView<core_v1::KeyToPath>;

// All keys, or those of `items`. Errors: an item names a key that is not there (unless optional), or leaves the volume.
Result<void> add_config_map(Payload& out, const core_v1::ConfigMap& map, const KeyToPaths& items, std::uint32_t mode, bool is_optional);
Result<void> add_secret(Payload& out, const core_v1::Secret& secret, const KeyToPaths& items, std::uint32_t mode, bool is_optional);
Result<void> add_downward(Payload& out, const core_v1::Pod& pod, const apimachinery::ListView<core_v1::DownwardAPIVolumeFile>& items,
                          std::uint32_t mode, const DownwardContext& context);

// The mode of files of a volume for an fsGroup: the group may read what the owner may.
std::uint32_t mode_for_group(std::uint32_t mode);
// Whether `path` stays below the volume: relative, no "..", no name that begins with "..".
Result<void> check_volume_path(std::string_view path);
// The same for a subPath, which may name what it likes below the volume ("..data/key") but never a way up.
Result<void> check_sub_path(std::string_view path);

}  // namespace rusternetes::kubelet
