#pragma once
// What the host lets an engine do: capabilities, hard limits, cgroups. Read, not assumed; the values are
// those of the engine's own process where it can be seen, because its containers inherit them.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::engine {

enum class CgroupMode { v1, hybrid, v2 };

struct HostFacts {
  std::uint64_t capabilities = 0;  // bounding set, one bit a capability
  int last_capability = 40;        // the kernel's highest
  std::uint64_t nofile_hard = 1024;
  std::uint64_t nproc_hard = 1024;
  CgroupMode cgroup_mode = CgroupMode::v1;
  int oom_score_adj = 0;
  bool has_systemd = false;
  bool has_ipv6 = false;

  bool has_capability(int number) const { return capabilities >> number & 1; }
  bool has_all_capabilities() const;
};

inline constexpr int kCapSysResource = 24;

// `engine_pid` 0: our own process stands for it.
HostFacts read_host_facts(int engine_pid);
// From the text of /proc/self/mounts.
CgroupMode cgroup_mode_of(std::string_view mounts);
// "NET_ADMIN" for 12; empty beyond the known.
std::string_view capability_name(int number);
inline constexpr int kKnownCapabilities = 41;
// The process that listens on a unix socket, and its user; nothing when the socket cannot be reached.
struct SocketPeer {
  pid_t pid = 0;
  uid_t uid = 0;
};
std::optional<SocketPeer> socket_peer(const std::string& path, int* error_number = nullptr);
// The whole file; empty when it cannot be read.
std::string read_small_file(const std::string& path);
// The program in PATH (and the sbin folders that a user's PATH lacks), or empty.
std::string find_program(std::string_view name);

}  // namespace rusternetes::engine
