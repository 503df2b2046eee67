#pragma once
// What `doctor` asks of the host: facts, without a judgement. Nothing here changes the host. Calls block, and
// may be made from several threads at once. An error says why a fact cannot be had, for example to who is not
// root.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace rusternetes::launcher {

// One place at which an engine may listen.
struct EngineFacts {
  std::string kind;  // "podman" or "docker"
  std::string socket;
  bool is_users = false;  // in a user's own folder, where rootless engines listen
  int connect_error = 0;  // errno; 0: somebody listens
  std::string silence;    // why a listening one did not tell its version; empty: it did
  std::string version;    // "4.3.1"
  bool is_rootless = false;
  std::string runtime;          // the default OCI runtime: "crun"
  std::string runtime_version;  // "1.8.1"; empty where the engine does not tell
  std::vector<std::string> runtimes;
  std::string storage;  // the folder of images and containers
};

struct EnginesFacts {
  std::vector<EngineFacts> engines;
  // Programs in PATH. With Podman, `create` can start a service of its own.
  bool has_podman = false;
  bool has_crun = false;
  bool has_runc = false;
};

enum class CgroupMode { v1, hybrid, v2 };

struct CgroupFacts {
  CgroupMode mode = CgroupMode::v2;
  bool is_mounted = true;
  std::vector<std::string> controllers;  // that can be used: enabled, and mounted on v1
  std::vector<std::string> read_only;    // mounts that cannot be written to
};

// Hard limits; nothing: unlimited.
struct LimitFacts {
  std::optional<std::uint64_t> nofile;
  std::optional<std::uint64_t> nproc;
  std::uint64_t inotify_instances = 0;  // a user
  std::uint64_t inotify_watches = 0;    // a user
  std::uint64_t pid_max = 0;
};

// What was tried in a network namespace made for it; empty: it works, else what the kernel said.
struct KernelFacts {
  std::string namespace_error;
  std::string nftables_error;
  std::string veth_error;
  bool has_overlay = false;
};

struct ForwardingFacts {
  bool is_forwarding = false;     // net.ipv4.ip_forward
  std::optional<bool> bridge_nf;  // net.bridge.bridge-nf-call-iptables; nothing: br_netfilter is not loaded
};

struct FilterChain {
  std::string family;  // "ip", "ip6", "inet"
  std::string table;
  std::string name;
  std::string hook;  // "input", "forward"; empty for Docker's own chain, to which others jump
  bool is_policy_drop = false;
  bool ends_in_drop = false;              // its last rule drops or rejects whatever comes so far
  std::vector<std::string> accepted_in;   // names of links, "rn*" for many, that it accepts from
  std::vector<std::string> accepted_out;  // and to
};

struct FirewallFacts {
  std::vector<FilterChain> chains;         // of others, on input and forward
  std::vector<FilterChain> docker_user;    // DOCKER-USER, one a family
  std::vector<std::string> node_links;     // of clusters that are up: "rn…"
  std::vector<std::string> legacy_tables;  // of the old iptables, whose rules are not read
};

struct Listener {
  std::string address;  // "127.0.0.1:6443"
  int pid = 0;          // 0: not to be seen by this user
  std::string program;
};

struct FolderFacts {
  std::filesystem::path path;     // as asked for
  std::filesystem::path nearest;  // the folder itself, or what of its parents is there
  std::string file_system;        // "ext4"; "0x1234" for one without a known name
  bool is_writable = false;
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_inodes = 0;
  std::uint64_t total_inodes = 0;  // 0: the file system does not count them
};

struct ClockFacts {
  SystemTime now;
  SystemTime built_at;                  // when the programs were put in place
  std::optional<bool> is_synchronised;  // as the kernel says; nothing: it may not be asked
};

struct MemoryFacts {
  std::uint64_t available_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t swap_bytes = 0;
};

struct ProgramFacts {
  std::filesystem::path folder;
  std::vector<std::string> missing;  // of those that stand beside rusternetes-ctl
  std::vector<std::string> missing_components;  // the same, of those that images are made of
  bool has_etcd = true;                         // which is not of ours
};

class FactsPort {
 public:
  virtual ~FactsPort() = default;
  virtual bool is_root() = 0;
  virtual Result<EnginesFacts> engines() = 0;
  virtual Result<CgroupFacts> cgroups() = 0;
  virtual Result<LimitFacts> limits() = 0;
  virtual Result<KernelFacts> kernel() = 0;
  virtual Result<ForwardingFacts> forwarding() = 0;
  virtual Result<FirewallFacts> firewall() = 0;
  // Who listens on the TCP port, on any address.
  virtual Result<std::vector<Listener>> listeners(std::uint16_t port) = 0;
  virtual Result<FolderFacts> folder(const std::filesystem::path& path) = 0;
  virtual Result<ClockFacts> clock() = 0;
  virtual Result<MemoryFacts> memory() = 0;
  virtual Result<ProgramFacts> programs() = 0;
  virtual bool has_systemd() = 0;
};

}  // namespace rusternetes::launcher
