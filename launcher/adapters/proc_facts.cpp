#include "launcher/adapters/proc_facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "certs/file.h"
#include "launcher/adapters/supervisor.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

Result<std::uint64_t> read_number(const std::string& path) {
  RN_TRY(const std::string text, certs::read_text(path, 4096));
  std::uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc())
    return internal_error(fmt::format("{} has no number", path));
  return number;
}

std::set<std::string> words_of(std::string text, char separator) {
  std::replace(text.begin(), text.end(), separator, ' ');
  std::istringstream in(text);
  std::set<std::string> out;
  for (std::string word; in >> word;) out.insert(word);
  return out;
}

std::optional<std::uint64_t> hard_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_max;
}

// Who has a socket of this inode open. One that this user cannot look into is passed over.
Listener holder_of(const ListeningSocket& socket) {
  Listener out{.address = socket.address};
  const std::string wanted = "socket:[" + socket.inode + "]";
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
    std::error_code ignored;
    auto at = fs::directory_iterator(process.path() / "fd", ignored);
    for (; !ignored && at != fs::directory_iterator(); at.increment(ignored)) {
      std::error_code unreadable;
      if (fs::read_symlink(at->path(), unreadable) != wanted) continue;
      out.pid = pid;
      const auto program = certs::read_text(process.path() / "comm", 4096);
      out.program = program ? *program : "?";
      while (out.program.ends_with('\n')) out.program.pop_back();
      return out;
    }
  }
  return out;
}

// "0100007F" or its four-fold for IPv6: 32-bit words in the host's order.
std::string address_of(std::string_view hex) {
  std::array<unsigned char, 16> bytes{};
  const std::size_t words = hex.size() / 8;
  if (words != 1 && words != 4) return std::string(hex);
  for (std::size_t word = 0; word < words; ++word) {
    std::uint32_t value = 0;
    (void)std::from_chars(hex.data() + word * 8, hex.data() + word * 8 + 8, value, 16);
    std::memcpy(bytes.data() + word * 4, &value, sizeof value);
  }
  if (words == 1) return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
  if (std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; })) return "[::]";
  std::string out;
  for (std::size_t i = 0; i < 16; i += 2)
    out += fmt::format("{}{:x}", out.empty() ? "" : ":", bytes[i] * 256 + bytes[i + 1]);
  return "[" + out + "]";
}

}  // namespace

CgroupFacts cgroup_facts_of(std::string_view mounts, std::string_view proc_cgroups,
                            std::string_view v2_controllers) {
  std::set<std::string> enabled, usable = words_of(std::string(v2_controllers), '\n'), read_only;
  std::istringstream kernel{std::string(proc_cgroups)};
  for (std::string line; std::getline(kernel, line);) {
    std::istringstream in(line);
    std::string name;
    int hierarchy = 0, groups = 0, is_enabled = 0;
    if (in >> name >> hierarchy >> groups >> is_enabled && is_enabled == 1) enabled.insert(name);
  }
  bool has_v1 = false, has_v2 = false;
  std::istringstream in{std::string(mounts)};
  for (std::string device, target, type, options, rest; in >> device >> target >> type >> options;) {
    std::getline(in, rest);
    const bool is_v1 = type == "cgroup", is_v2 = type == "cgroup2";
    if ((!is_v1 && !is_v2) || !target.starts_with("/sys/fs/cgroup")) continue;
    has_v1 = has_v1 || is_v1;
    has_v2 = has_v2 || is_v2;
    const auto words = words_of(options, ',');
    bool has_controller = is_v2;
    for (const std::string& one : words) {
      if (!is_v1 || !enabled.contains(one)) continue;
      has_controller = true;
      usable.insert(one);
    }
    if (has_controller && words.contains("ro")) read_only.insert(target);
  }
  CgroupFacts facts;
  facts.is_mounted = has_v1 || has_v2;
  facts.mode = has_v1 ? (has_v2 ? CgroupMode::hybrid : CgroupMode::v1) : CgroupMode::v2;
  facts.controllers.assign(usable.begin(), usable.end());
  facts.read_only.assign(read_only.begin(), read_only.end());
  return facts;
}

std::vector<ListeningSocket> listening_sockets(std::string_view table, std::uint16_t port) {
  std::vector<ListeningSocket> out;
  std::istringstream lines{std::string(table)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    if (!(in >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >>
          inode))
      continue;
    const auto colon = local.find(':');
    if (state != "0A" || colon == std::string::npos) continue;  // TCP_LISTEN
    std::uint16_t number = 0;
    (void)std::from_chars(local.data() + colon + 1, local.data() + local.size(), number, 16);
    if (number == port)
      out.push_back(
          {fmt::format("{}:{}", address_of(std::string_view(local).substr(0, colon)), port), inode});
  }
  return out;
}

std::string file_system_name(unsigned long number) {
  static const std::map<unsigned long, std::string> names{
      {0xEF53, "ext4"},      {0x58465342, "xfs"},     {0x9123683E, "btrfs"},   {0x2FC12FC1, "zfs"},
      {0x01021994, "tmpfs"}, {0x858458F6, "ramfs"},   {0x794C7630, "overlay"}, {0x6969, "nfs"},
      {0xFF534D42, "cifs"},  {0xFE534D42, "smb2"},    {0x517B, "cifs"},        {0x01021997, "9p"},
      {0x5346414F, "afs"},   {0x73757245, "coda"},    {0x00C36400, "ceph"},    {0x65735546, "fuse"},
      {0xF2F52010, "f2fs"},  {0xCA451A4E, "bcachefs"}};
  const auto found = names.find(number & 0xFFFFFFFFul);
  return found == names.end() ? fmt::format("{:#x}", number) : found->second;
}

std::uint64_t meminfo_bytes(std::string_view meminfo, std::string_view key) {
  const auto at = meminfo.find(key);
  if (at == std::string_view::npos) return 0;
  std::istringstream in{std::string(meminfo.substr(at + key.size(), 40))};
  std::uint64_t kib = 0;
  in >> kib;
  return kib * 1024;
}

bool ProcFacts::is_root() { return ::geteuid() == 0; }
bool ProcFacts::has_systemd() { return is_systemd_host(); }

Result<CgroupFacts> ProcFacts::cgroups() {
  RN_TRY(const std::string mounts, certs::read_text("/proc/self/mounts"));
  const auto kernel = certs::read_text("/proc/cgroups");  // there is none where the kernel has v2 alone
  const auto v2 = certs::read_text("/sys/fs/cgroup/cgroup.controllers");
  const auto unified = certs::read_text("/sys/fs/cgroup/unified/cgroup.controllers");
  return cgroup_facts_of(mounts, kernel ? *kernel : "", v2 ? *v2 : unified ? *unified : "");
}

Result<LimitFacts> ProcFacts::limits() {
  LimitFacts facts{.nofile = hard_limit(RLIMIT_NOFILE), .nproc = hard_limit(RLIMIT_NPROC)};
  RN_TRY(facts.inotify_instances, read_number("/proc/sys/fs/inotify/max_user_instances"));
  RN_TRY(facts.inotify_watches, read_number("/proc/sys/fs/inotify/max_user_watches"));
  RN_TRY(facts.pid_max, read_number("/proc/sys/kernel/pid_max"));
  return facts;
}

Result<ForwardingFacts> ProcFacts::forwarding() {
  ForwardingFacts facts;
  RN_TRY(const std::uint64_t forward, read_number("/proc/sys/net/ipv4/ip_forward"));
  facts.is_forwarding = forward != 0;
  if (const auto bridge = read_number("/proc/sys/net/bridge/bridge-nf-call-iptables"))
    facts.bridge_nf = *bridge != 0;
  return facts;
}

Result<std::vector<Listener>> ProcFacts::listeners(std::uint16_t port) {
  std::vector<Listener> out;
  for (const char* table : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
    const auto text = certs::read_text(table, 64 << 20);
    if (!text && text.error().is("NotFound")) continue;  // without IPv6
    RN_CHECK(text);
    for (const ListeningSocket& socket : listening_sockets(*text, port)) out.push_back(holder_of(socket));
  }
  return out;
}

Result<FolderFacts> ProcFacts::folder(const fs::path& path) {
  FolderFacts facts{.path = path, .nearest = path};
  struct stat info {};
  while (::stat(facts.nearest.c_str(), &info) != 0) {
    if (errno != ENOENT || !facts.nearest.has_relative_path())
      return errno_error(facts.nearest.string(), errno);
    facts.nearest = facts.nearest.parent_path();
  }
  struct statfs type {};
  struct statvfs room {};
  if (::statfs(facts.nearest.c_str(), &type) != 0 || ::statvfs(facts.nearest.c_str(), &room) != 0)
    return errno_error(facts.nearest.string(), errno);
  facts.file_system = file_system_name(static_cast<unsigned long>(type.f_type));
  facts.is_writable = ::faccessat(AT_FDCWD, facts.nearest.c_str(), W_OK, AT_EACCESS) == 0;
  facts.free_bytes = room.f_bavail * room.f_frsize;
  facts.total_bytes = room.f_blocks * room.f_frsize;
  facts.free_inodes = room.f_favail;
  facts.total_inodes = room.f_files;
  return facts;
}

Result<ClockFacts> ProcFacts::clock() {
  ClockFacts facts{.now = Clock::system().now()};
  struct stat info {};
  if (::stat((binary_dir_ / "rusternetes-ctl").c_str(), &info) == 0)
    facts.built_at = std::chrono::system_clock::from_time_t(info.st_mtime);
  timex asked{};  // modes 0: only reads
  const int state = ::adjtimex(&asked);
  if (state >= 0) facts.is_synchronised = state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
  return facts;
}

Result<MemoryFacts> ProcFacts::memory() {
  RN_TRY(const std::string text, certs::read_text("/proc/meminfo"));
  return MemoryFacts{.available_bytes = meminfo_bytes(text, "MemAvailable:"),
                     .total_bytes = meminfo_bytes(text, "MemTotal:"),
                     .swap_bytes = meminfo_bytes(text, "SwapTotal:")};
}

Result<ProgramFacts> ProcFacts::programs() {
  ProgramFacts facts{.folder = binary_dir_};
  for (const char* name : {"rusternetes", "supervisor"})
    if (::access((binary_dir_ / name).c_str(), X_OK) != 0) facts.missing.emplace_back(name);
  for (const char* name : {"api-server", "controller-manager", "scheduler", "kubelet", "kube-proxy", "dns",
                           "rhino", "api-proxy", "host-agent"})
    if (::access((binary_dir_ / name).c_str(), X_OK) != 0) facts.missing_components.emplace_back(name);
  return facts;
}

}  // namespace rusternetes::launcher
