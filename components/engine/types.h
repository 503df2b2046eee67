#pragma once
// What an engine is asked for and what it answers, in words that fit both Podman and Docker.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rusternetes::engine {

enum class EngineKind { podman, docker };
std::string_view to_string(EngineKind kind);

// Reasons a Status of this folder carries beside Kubernetes' own (NotFound, AlreadyExists, Conflict,
// InternalError, Invalid, Timeout).
namespace reason {
inline constexpr char kUnreachable[] = "EngineUnreachable";  // nothing answers on the socket
inline constexpr char kRootless[] = "RootlessEngine";        // refused, with the fix in the message
inline constexpr char kStartError[] = "StartError";          // the container's command could not be run
inline constexpr char kAddressInUse[] = "AddressInUse";      // a static address or a published port is taken
inline constexpr char kPoolOverlap[] = "PoolOverlap";        // a network's subnet is taken
inline constexpr char kInvalidImageName[] = "InvalidImageName";  // not an image reference
inline constexpr char kRegistryUnavailable[] = "RegistryUnavailable";
inline constexpr char kPullDenied[] = "Unauthorized";
}  // namespace reason

struct EngineInfo {
  EngineKind kind = EngineKind::podman;
  std::string version;      // "4.3.1"
  std::string api_version;  // of the Docker-compatible API: "1.41"
  bool is_rootless = false;
  int cgroup_version = 1;
  std::string cgroup_driver;  // "cgroupfs" or "systemd"
  std::string host_name;
  std::string default_runtime;
  std::vector<std::string> runtimes;
  std::string log_driver;
  std::string data_root;
  bool has_apparmor = false;
  bool has_seccomp = false;
  std::int64_t memory_bytes = 0;
  int cpus = 0;
};

enum class Propagation { none, host_to_container, bidirectional };  // private, rslave, rshared

struct Mount {
  std::string host_path;  // must exist; checked by the engine's caller side, since Podman does not
  std::string container_path;
  bool is_read_only = false;
  Propagation propagation = Propagation::none;
};

struct TmpfsMount {
  std::string container_path;
  std::int64_t size_bytes = 0;  // 0: the kernel's default
};

struct Device {
  std::string host_path;
  std::string container_path;
  std::string permissions = "rwm";
};

// A zero means: not set.
struct Resources {
  std::int64_t cpu_shares = 0;
  std::int64_t cpu_quota_us = 0;
  std::int64_t cpu_period_us = 0;
  std::int64_t memory_limit_bytes = 0;  // swap is set equal: no swap
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::int64_t pids_limit = 0;
  std::optional<int> oom_score_adj;  // left out when the host would not allow it
};

enum class SeccompKind { runtime_default, unconfined, localhost };

struct Security {
  bool is_privileged = false;
  std::vector<std::string> add_capabilities;  // without CAP_; "ALL" is what the host holds
  std::vector<std::string> drop_capabilities;
  std::string user;  // "", "1000", "name", "1000:1000"
  std::vector<std::int64_t> supplemental_groups;
  bool has_read_only_rootfs = false;
  bool no_new_privileges = false;
  bool is_proc_unmasked = false;  // procMount Unmasked
  SeccompKind seccomp = SeccompKind::runtime_default;
  std::string seccomp_profile_path;  // for localhost: an absolute path of the host
  std::string apparmor_profile;      // "", "unconfined" or a name; left out where the host has no AppArmor
};

// The namespace a container lives in: its own, the host's or another container's.
struct Namespace {
  enum class Kind { own, host, container, shareable, none };
  Kind kind = Kind::own;
  std::string container_id;
};

struct PublishedPort {
  std::string host_ip = "127.0.0.1";
  std::uint16_t host_port = 0;
  std::uint16_t container_port = 0;
  std::string protocol = "tcp";
};

struct NetworkAttachment {
  std::string network;  // name of an engine's network
  std::string ipv4;     // empty: the engine chooses (never rely on that)
  std::vector<std::string> aliases;
};

struct ContainerSpec {
  std::string name;
  std::string image;                 // fully qualified reference or id
  std::vector<std::string> command;  // CRI: replaces the image's entrypoint, and then its cmd too
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
  std::string hostname;
  std::map<std::string, std::string> labels;
  std::vector<Mount> mounts;
  std::vector<TmpfsMount> tmpfs;
  std::vector<Device> devices;
  std::map<std::string, std::string> sysctls;
  std::int64_t shm_bytes = 0;
  std::string cgroup_parent;  // absolute cgroupfs path; see cgroup_parent_argument()
  Resources resources;
  Security security;
  Namespace network{Namespace::Kind::none, {}};  // ignored when `attachment` is given
  std::optional<NetworkAttachment> attachment;
  Namespace pid;
  Namespace ipc;
  Namespace uts;
  std::vector<PublishedPort> ports;
  bool has_stdin = false;
  bool is_stdin_once = false;
  bool has_tty = false;
  std::string stop_signal;
  std::string restart_policy = "no";  // "no", "always", "on-failure", "unless-stopped"
  // Podman writes its log there; Docker has a place of its own (ContainerDetails::log_path). Empty: the
  // engine's place.
  std::string log_path;
  // Docker rotates at this size; Podman would truncate, so it is not told (hosts.md §5).
  std::int64_t log_max_bytes = 0;
  int log_max_files = 0;
};

enum class ContainerState { created, running, exited, unknown };
std::string_view to_string(ContainerState state);

struct ContainerSummary {
  std::string id;
  std::string name;
  std::string image;
  std::string image_id;
  ContainerState state = ContainerState::unknown;
  std::map<std::string, std::string> labels;
  std::int64_t created_at_ns = 0;
  int pid = 0;  // Podman only; 0: not told
};

struct ContainerDetails {
  std::string id;
  std::string name;
  std::string image;     // as it was asked for
  std::string image_id;  // "sha256:..."
  ContainerState state = ContainerState::unknown;
  int pid = 0;          // in the engine's PID namespace
  int monitor_pid = 0;  // Podman: of the conmon that will tell the exit code; 0: unknown
  int exit_code = 0;
  bool is_oom_killed = false;  // Podman never says so (hosts.md §6)
  std::string error;           // why it could not start
  std::int64_t created_at_ns = 0;
  std::int64_t started_at_ns = 0;   // 0: never
  std::int64_t finished_at_ns = 0;  // 0: not yet
  int restarts = 0;                 // by its restart policy
  std::map<std::string, std::string> labels;
  std::string log_path;
  std::map<std::string, std::string> network_ips;  // network name -> IPv4
  std::vector<Mount> mounts;
  std::string hostname;
  bool has_tty = false;
};

struct ImageSummary {
  std::string id;                         // "sha256:..."
  std::vector<std::string> repo_tags;     // fully qualified
  std::vector<std::string> repo_digests;  // fully qualified
  std::int64_t size_bytes = 0;
  std::map<std::string, std::string> labels;
};

struct ImageDetails : ImageSummary {
  std::string user;
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_dir;
  std::string stop_signal;
};

struct RegistryAuth {
  std::string username, password, identity_token, server_address;
  bool empty() const { return username.empty() && identity_token.empty(); }
};

struct PullProgress {
  std::string layer, status;
  std::int64_t current = 0, total = 0;
};

struct NetworkSpec {
  std::string name;
  std::string subnet, gateway, ip_range;  // CIDR, address, CIDR; the last may be empty
  std::string bridge_name;
  int mtu = 0;
  bool is_internal = false;
  bool has_dns = true;  // Podman: false starts no resolver
  std::map<std::string, std::string> labels;
};

struct NetworkDetails {
  std::string id, name;
  std::string subnet, gateway;
  std::string bridge_name;
  std::map<std::string, std::string> labels;
};

struct VolumeDetails {
  std::string name, mountpoint;
  std::map<std::string, std::string> labels;
};

struct EngineEvent {
  std::string type;    // "container", "image", "network", ...
  std::string action;  // Docker's words: create, start, die, oom, destroy, ...
  std::string id;
  std::map<std::string, std::string> attributes;  // labels among them
  std::int64_t time_ns = 0;
};

struct ExecSpec {
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::string user, working_dir;
  bool has_stdin = false, has_stdout = true, has_stderr = true, has_tty = false;
  bool is_privileged = false;
};

struct ExecDetails {
  bool is_running = false;
  int exit_code = 0;
  int pid = 0;
};

}  // namespace rusternetes::engine
