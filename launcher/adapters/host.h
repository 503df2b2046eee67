#pragma once
// HostPort on system calls.

#include <string_view>
#include <vector>

#include "launcher/ports/host_port.h"

namespace rusternetes::launcher {

class LinuxHost final : public HostPort {
 public:
  bool is_root() override;
  bool is_executable(const std::filesystem::path& path) override;
  bool is_port_free(const std::string& address, std::uint16_t port) override;
  std::string default_address() override;
  Result<> share_folder(const std::filesystem::path& folder) override;
  Result<> unmount_below(const std::filesystem::path& folder) override;
  Result<> remove_cgroups(const std::string& cluster, bool must_end) override;
};

// The mount points at or below `folder` in the text of /proc/self/mountinfo (proc(5)), in the order in which
// they can be unmounted: the last mounted first. Pure.
std::vector<std::string> mounts_below(std::string_view mountinfo, const std::string& folder);

}  // namespace rusternetes::launcher
