#pragma once
// The host as the Node object describes it. Blocking reads of /proc, /sys and /etc.

#include <cstdint>
#include <map>
#include <string>

namespace rusternetes::kubelet {

struct Machine {
  int cpus = 1;
  std::int64_t memory_bytes = 0;
  std::map<std::string, std::int64_t> huge_pages;  // "hugepages-2Mi" -> bytes
  std::string machine_id, system_uuid, boot_id, kernel_version, os_image, architecture;
};
Machine read_machine();

// What changes: for the pressure conditions.
struct MachineLoad {
  std::int64_t memory_available_bytes = 0;
  std::int64_t disk_capacity_bytes = 0, disk_available_bytes = 0;  // of the kubelet's folder
  std::int64_t inodes = 0, inodes_available = 0;
  std::int64_t pids = 0, pids_most = 0;
};
MachineLoad read_load(const std::string& folder);

}  // namespace rusternetes::kubelet
