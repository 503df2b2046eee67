#pragma once
// What of FactsPort comes from system calls and /proc. Reads only.

#include <string_view>

#include "launcher/ports/facts_port.h"

namespace rusternetes::launcher {

class ProcFacts : public FactsPort {
 public:
  // `binary_dir` has rusternetes-ctl and what stands beside it.
  explicit ProcFacts(std::filesystem::path binary_dir) : binary_dir_(std::move(binary_dir)) {}
  bool is_root() override;
  Result<CgroupFacts> cgroups() override;
  Result<LimitFacts> limits() override;
  Result<ForwardingFacts> forwarding() override;
  Result<std::vector<Listener>> listeners(std::uint16_t port) override;
  Result<FolderFacts> folder(const std::filesystem::path& path) override;
  Result<ClockFacts> clock() override;
  Result<MemoryFacts> memory() override;
  Result<ProgramFacts> programs() override;
  bool has_systemd() override;

 private:
  std::filesystem::path binary_dir_;
};

// From the text of /proc/self/mounts, of /proc/cgroups, and of cgroup.controllers at the top of v2 (empty
// without one). Pure.
CgroupFacts cgroup_facts_of(std::string_view mounts, std::string_view proc_cgroups,
                            std::string_view v2_controllers);
// The listening sockets of a port in the text of /proc/net/tcp or tcp6: address and inode. Pure.
struct ListeningSocket {
  std::string address;
  std::string inode;
};
std::vector<ListeningSocket> listening_sockets(std::string_view table, std::uint16_t port);
// "ext4" for 0xEF53: the numbers of statfs(2).
std::string file_system_name(unsigned long number);
// The number behind "MemAvailable:" in the text of /proc/meminfo, in bytes; 0 without it. Pure.
std::uint64_t meminfo_bytes(std::string_view meminfo, std::string_view key);

}  // namespace rusternetes::launcher
