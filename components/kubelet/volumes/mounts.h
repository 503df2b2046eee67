#pragma once
// Mounts that a Pod's volumes need, below the kubelet's folder. Blocking; each looks first and repeats without harm.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::kubelet {

// Mount points at or below `path`, the deepest first, from /proc/self/mountinfo.
std::vector<std::string> mounts_below(const std::string& path);
// The same from its text.
std::vector<std::string> mounts_below(std::string_view mountinfo, const std::string& path);

// `size_bytes` 0: the kernel's default, half of the memory. The mount appears with its mode and group; one that is there
// keeps what its users made of it.
Result<void> ensure_tmpfs(const std::string& path, std::int64_t size_bytes, std::uint32_t mode, std::optional<std::int64_t> group = {});
// Unmounts all at or below `path`, then deletes it. Absent is success. Never crosses into what is mounted there: a mount
// that stays is an error and nothing is deleted.
Result<void> remove_tree(const std::string& path);

// Opens `sub_path` inside `volume` (no link leads out), makes what is missing, and binds it to `target`, since engines take
// no descriptor. `target` becomes a folder or a file as the source is one.
Result<void> bind_sub_path(const std::string& volume, const std::string& sub_path, const std::string& target);

// Gives a tree to the group of an fsGroup: group-writable, and folders hand the group on.
Result<void> give_to_group(const std::string& path, std::int64_t group);

}  // namespace rusternetes::kubelet
