#pragma once
// A host with nothing wrong, whose facts a test spoils.

#include <cerrno>

#include "launcher/ports/facts_port.h"

namespace rusternetes::launcher::testing {

inline EngineFacts good_podman() {
  return {.kind = "podman",
          .socket = "/run/podman/podman.sock",
          .version = "4.3.1",
          .runtime = "crun",
          .runtime_version = "1.14",
          .runtimes = {"crun", "runc"},
          .storage = "/var/lib/containers/storage"};
}

inline EngineFacts absent_docker() {
  return {.kind = "docker", .socket = "/var/run/docker.sock", .connect_error = ENOENT};
}

inline FolderFacts good_folder(const std::filesystem::path& path) {
  return {.path = path,
          .nearest = path,
          .file_system = "ext4",
          .is_writable = true,
          .free_bytes = 50ull << 30,
          .total_bytes = 100ull << 30,
          .free_inodes = 900,
          .total_inodes = 1000};
}

class FakeFacts final : public FactsPort {
 public:
  bool root = true;
  bool systemd = true;
  Result<EnginesFacts> engines_facts = EnginesFacts{
      .engines = {good_podman(), absent_docker()}, .has_podman = true, .has_crun = true, .has_runc = true};
  Result<CgroupFacts> cgroup_facts = CgroupFacts{
      .mode = CgroupMode::v2, .controllers = {"cpu", "cpuset", "io", "memory", "pids"}, .read_only = {}};
  Result<LimitFacts> limit_facts = LimitFacts{.nofile = 1'048'576,
                                              .nproc = std::nullopt,
                                              .inotify_instances = 8192,
                                              .inotify_watches = 524'288,
                                              .pid_max = 4'194'304};
  Result<KernelFacts> kernel_facts = KernelFacts{.has_overlay = true};
  Result<ForwardingFacts> forwarding_facts = ForwardingFacts{.is_forwarding = true, .bridge_nf = true};
  Result<FirewallFacts> firewall_facts = FirewallFacts{};
  Result<std::vector<Listener>> port_listeners = std::vector<Listener>{};
  std::uint64_t free_bytes = 50ull << 30;
  Result<ClockFacts> clock_facts =
      ClockFacts{.now = SystemTime(std::chrono::seconds(1'780'000'000)), .is_synchronised = true};
  Result<MemoryFacts> memory_facts =
      MemoryFacts{.available_bytes = 4ull << 30, .total_bytes = 8ull << 30, .swap_bytes = 0};
  Result<ProgramFacts> program_facts = ProgramFacts{.folder = "/opt/rusternetes", .missing = {}};

  bool is_root() override { return root; }
  Result<EnginesFacts> engines() override { return engines_facts; }
  Result<CgroupFacts> cgroups() override { return cgroup_facts; }
  Result<LimitFacts> limits() override { return limit_facts; }
  Result<KernelFacts> kernel() override { return kernel_facts; }
  Result<ForwardingFacts> forwarding() override { return forwarding_facts; }
  Result<FirewallFacts> firewall() override { return firewall_facts; }
  Result<std::vector<Listener>> listeners(std::uint16_t) override { return port_listeners; }
  Result<FolderFacts> folder(const std::filesystem::path& path) override {
    FolderFacts facts = good_folder(path);
    facts.free_bytes = free_bytes;
    return facts;
  }
  Result<ClockFacts> clock() override { return clock_facts; }
  Result<MemoryFacts> memory() override { return memory_facts; }
  Result<ProgramFacts> programs() override { return program_facts; }
  bool has_systemd() override { return systemd; }
};

}  // namespace rusternetes::launcher::testing
