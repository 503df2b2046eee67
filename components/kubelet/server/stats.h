#pragma once
// What processes use, from cgroup files (v1, v2) and /proc. Blocking reads: for a worker thread. A value that the host does not
// tell is absent.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::kubelet {

struct Usage {
  std::int64_t time_ns = 0;  // since the epoch, when it was read
  std::optional<std::uint64_t> cpu_ns;
  std::optional<std::uint64_t> memory_bytes, working_set_bytes, rss_bytes, memory_limit_bytes;
  std::optional<std::uint64_t> page_faults, major_page_faults;
  std::optional<std::uint64_t> swap_bytes, swap_limit_bytes;
};

struct InterfaceUsage {
  std::string name;
  std::uint64_t rx_bytes = 0, rx_errors = 0, tx_bytes = 0, tx_errors = 0;
};

struct FileSystemUsage {
  std::uint64_t available_bytes = 0, capacity_bytes = 0, inodes_free = 0, inodes = 0;
  std::optional<std::uint64_t> used_bytes, inodes_used;
};

class UsageReader {
 public:
  // Where the hierarchies and /proc are.
  explicit UsageReader(std::string cgroup_mount = "/sys/fs/cgroup", std::string proc = "/proc");

  // The group at the same path in every hierarchy.
  Usage group(const std::string& path) const;
  // The group that a process is in, whatever made it.
  Usage process_group(int pid) const;
  // The whole machine.
  Usage machine() const;
  // The interfaces of a process' network namespace but `lo`; of the calling thread's for pid 0.
  std::vector<InterfaceUsage> interfaces(int pid) const;
  // When the machine booted, in seconds since the epoch.
  std::int64_t boot_time_s() const;

 private:
  // By controller: "" is the unified hierarchy.
  using Paths = std::map<std::string, std::string, std::less<>>;
  Usage read(const Paths& paths) const;
  void read_v1(const Paths& paths, Usage& out) const;
  void read_v2(const std::string& folder, Usage& out) const;

  std::string mount_, proc_;
  bool is_v2_ = false;
};

std::optional<FileSystemUsage> file_system(const std::string& path);

// The parsers, for tests. "usage_usec 12\nuser_usec 3\n" -> {"usage_usec", 12}, ...; values after a colon ("MemTotal:  5 kB") too.
std::map<std::string, std::uint64_t, std::less<>> parse_fields(std::string_view text);
std::vector<InterfaceUsage> parse_interfaces(std::string_view net_dev);

}  // namespace rusternetes::kubelet
