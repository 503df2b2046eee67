#pragma once
// The few things of the host that have no other port.

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"

namespace rusternetes::launcher {

class HostPort {
 public:
  virtual ~HostPort() = default;
  virtual bool is_root() = 0;
  virtual bool is_executable(const std::filesystem::path& path) = 0;
  virtual bool is_port_free(const std::string& address, std::uint16_t port) = 0;
  // The address by which the host reaches the outside, or 127.0.0.1 where it has none.
  virtual std::string default_address() = 0;
  // Binds the folder on itself and makes the mount shared; done already: no error.
  virtual Result<> share_folder(const std::filesystem::path& folder) = 0;
  // Takes off every mount at or below the folder, the deepest first.
  virtual Result<> unmount_below(const std::filesystem::path& folder) = 0;
  // Removes the cluster's cgroups, in every hierarchy. Those in which something runs stay, unless
  // `must_end`: what is still in there after a moment (an engine's monitors, which outlive their containers)
  // is killed then.
  virtual Result<> remove_cgroups(const std::string& cluster, bool must_end) = 0;
};

}  // namespace rusternetes::launcher
