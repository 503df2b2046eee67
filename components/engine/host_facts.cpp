#include "engine/host_facts.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace rusternetes::engine {
namespace {

constexpr std::array<std::string_view, kKnownCapabilities> kCapabilityNames = {"CHOWN",
                                                                               "DAC_OVERRIDE",
                                                                               "DAC_READ_SEARCH",
                                                                               "FOWNER",
                                                                               "FSETID",
                                                                               "KILL",
                                                                               "SETGID",
                                                                               "SETUID",
                                                                               "SETPCAP",
                                                                               "LINUX_IMMUTABLE",
                                                                               "NET_BIND_SERVICE",
                                                                               "NET_BROADCAST",
                                                                               "NET_ADMIN",
                                                                               "NET_RAW",
                                                                               "IPC_LOCK",
                                                                               "IPC_OWNER",
                                                                               "SYS_MODULE",
                                                                               "SYS_RAWIO",
                                                                               "SYS_CHROOT",
                                                                               "SYS_PTRACE",
                                                                               "SYS_PACCT",
                                                                               "SYS_ADMIN",
                                                                               "SYS_BOOT",
                                                                               "SYS_NICE",
                                                                               "SYS_RESOURCE",
                                                                               "SYS_TIME",
                                                                               "SYS_TTY_CONFIG",
                                                                               "MKNOD",
                                                                               "LEASE",
                                                                               "AUDIT_WRITE",
                                                                               "AUDIT_CONTROL",
                                                                               "SETFCAP",
                                                                               "MAC_OVERRIDE",
                                                                               "MAC_ADMIN",
                                                                               "SYSLOG",
                                                                               "WAKE_ALARM",
                                                                               "BLOCK_SUSPEND",
                                                                               "AUDIT_READ",
                                                                               "PERFMON",
                                                                               "BPF",
                                                                               "CHECKPOINT_RESTORE"};

// The text after `key` up to the end of its line.
std::string_view line_after(std::string_view text, std::string_view key) {
  auto at = text.find(key);
  if (at == std::string_view::npos) return {};
  auto rest = text.substr(at + key.size());
  return rest.substr(0, rest.find('\n'));
}

std::uint64_t number(std::string_view text, int base, std::uint64_t fallback) {
  auto start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return fallback;
  text.remove_prefix(start);
  std::uint64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return ec == std::errc() ? value : fallback;
}

// A line of /proc/PID/limits: name, soft, hard, unit.
std::uint64_t hard_limit(std::string_view limits, std::string_view name, std::uint64_t fallback) {
  std::istringstream line{std::string(line_after(limits, name))};
  std::string soft, hard;
  line >> soft >> hard;
  if (hard == "unlimited") return std::min<std::uint64_t>(fallback, 1u << 20);
  return std::min(fallback, number(hard, 10, fallback));
}

std::uint64_t own_hard_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return 1024;
  return std::min<std::uint64_t>(limit.rlim_max, 1u << 20);
}

}  // namespace

std::string read_small_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (in) out << in.rdbuf();
  return out.str();
}

bool HostFacts::has_all_capabilities() const {
  for (int i = 0; i <= last_capability; ++i)
    if (!has_capability(i)) return false;
  return true;
}

std::string_view capability_name(int number) {
  return number >= 0 && number < kKnownCapabilities ? kCapabilityNames[static_cast<std::size_t>(number)]
                                                    : std::string_view();
}

CgroupMode cgroup_mode_of(std::string_view mounts) {
  bool has_v1 = false, has_v2 = false;
  std::istringstream in{std::string(mounts)};
  for (std::string device, target, type, rest; in >> device >> target >> type && std::getline(in, rest);) {
    if (type == "cgroup") has_v1 = true;
    if (type == "cgroup2") has_v2 = true;
  }
  if (has_v1) return has_v2 ? CgroupMode::hybrid : CgroupMode::v1;
  return has_v2 ? CgroupMode::v2 : CgroupMode::v1;
}

HostFacts read_host_facts(int engine_pid) {
  HostFacts facts;
  std::string status =
      engine_pid > 0 ? read_small_file(fmt::format("/proc/{}/status", engine_pid)) : std::string();
  if (status.empty()) status = read_small_file("/proc/self/status");
  facts.capabilities = number(line_after(status, "CapBnd:"), 16, 0);
  facts.last_capability = static_cast<int>(number(read_small_file("/proc/sys/kernel/cap_last_cap"), 10, 40));
  facts.nofile_hard = own_hard_limit(RLIMIT_NOFILE);
  facts.nproc_hard = own_hard_limit(RLIMIT_NPROC);
  std::string proc = fmt::format("/proc/{}", engine_pid > 0 ? engine_pid : ::getpid());
  auto limits = read_small_file(proc + "/limits");
  if (engine_pid > 1 && !limits.empty()) {
    // What the engine has counts, not what we have: an administrator's shell may be allowed more or less.
    facts.nofile_hard = hard_limit(limits, "Max open files", 1u << 20);
    facts.nproc_hard = hard_limit(limits, "Max processes", 1u << 20);
  }
  auto adj = read_small_file(proc + "/oom_score_adj");
  facts.oom_score_adj = adj.empty() ? 0 : std::atoi(adj.c_str());
  facts.cgroup_mode = cgroup_mode_of(read_small_file("/proc/self/mounts"));
  facts.has_systemd = ::access("/run/systemd/system", F_OK) == 0;
  facts.has_ipv6 = ::access("/proc/sys/net/ipv6", F_OK) == 0;
  return facts;
}

std::optional<SocketPeer> socket_peer(const std::string& path, int* error_number) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto fail = [&](int error) {
    if (error_number) *error_number = error;
    return std::nullopt;
  };
  if (path.size() >= sizeof(address.sun_path)) return fail(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  // Not blocking: a full backlog must not hang the caller.
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(errno);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    int error = errno;
    ::close(fd);
    return fail(error);
  }
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  int rc = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
  int error = errno;
  ::close(fd);
  if (rc != 0) return fail(error);
  return SocketPeer{credentials.pid, credentials.uid};
}

std::string find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string(path ? path : "") +
                             ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (folder.empty()) continue;
    std::string file = folder + "/" + std::string(name);
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

}  // namespace rusternetes::engine
