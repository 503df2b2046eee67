// User, cgroups, limits, memory, clock, programs, init system, folders.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "launcher/doctor/checks.h"

namespace rusternetes::launcher::doctor {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t gib = 1 << 30;

// Containers of Pods are limited by these.
constexpr std::array<std::string_view, 4> needed_controllers{"cpu", "cpuset", "memory", "pids"};

// What the kernel of Debian gives, and what a node with its 110 Pods has been seen to need.
constexpr std::uint64_t least_nofile = 4096, good_nofile = 65'536;
constexpr std::uint64_t least_nproc = 2048, good_nproc = 16'384;
constexpr std::uint64_t least_pids = 4096, good_pids = 32'768;
constexpr std::uint64_t least_instances = 64, good_instances = 512;
constexpr std::uint64_t least_watches = 4096, good_watches = 65'536;

constexpr std::uint64_t least_memory = 256 * mib, good_memory = 512 * mib;
constexpr std::uint64_t least_disk = gib, good_disk = 5 * gib;
// Of all inodes: the node conditions of a kubelet begin at 5 %.
constexpr std::uint64_t least_inodes_percent = 1, good_inodes_percent = 5;

// 2024-01-01T00:00:00Z, older than any release.
constexpr SystemTime oldest_release{std::chrono::seconds{1'704'067'200}};

Level level_of(std::uint64_t value, std::uint64_t least, std::uint64_t good) {
  return value < least ? Level::problem : value < good ? Level::warning : Level::ok;
}

Finding plain(Level level, std::string what, std::string finding, const std::string& fix) {
  return {level, std::move(what), std::move(finding), level == Level::ok ? "" : fix};
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string size_text(std::uint64_t bytes) {
  if (bytes >= gib) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(gib));
  return fmt::format("{} MiB", bytes / mib);
}

Finding limit_finding(std::string what, const std::string& name, std::optional<std::uint64_t> value,
                      std::uint64_t least, std::uint64_t good, const std::string& consequence,
                      const std::string& fix) {
  if (!value) return plain(Level::ok, std::move(what), name + " is unlimited", fix);
  const Level level = level_of(*value, least, good);
  std::string text = fmt::format("{} is {}", name, *value);
  if (level != Level::ok) text += fmt::format(", less than {}: {}", good, consequence);
  return plain(level, std::move(what), std::move(text), fix);
}

std::string date_of(SystemTime time) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(time)};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

bool is_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Findings check_user(bool is_root) {
  if (is_root) return {{Level::ok, "user", "root", ""}};
  return {{Level::warning, "user", "not root: some checks cannot be done, and no cluster can be changed",
           "Run this as root, for example with sudo."}};
}

Findings check_cgroups(const CgroupFacts& facts) {
  Findings out;
  if (!facts.is_mounted)
    return {{Level::problem, "cgroups", "no cgroup hierarchy is mounted at /sys/fs/cgroup",
             "mount -t cgroup2 none /sys/fs/cgroup (in a container: run it with the host's cgroups)"}};
  const std::string_view mode = facts.mode == CgroupMode::v2   ? "v2"
                                : facts.mode == CgroupMode::v1 ? "v1"
                                                               : "v1 and v2 together (hybrid)";
  out.push_back({Level::ok, "cgroups", std::string(mode), ""});
  std::vector<std::string> missing;
  for (const std::string_view one : needed_controllers)
    if (std::find(facts.controllers.begin(), facts.controllers.end(), one) == facts.controllers.end())
      missing.emplace_back(one);
  out.push_back(plain(missing.empty() ? Level::ok : Level::problem, "cgroup-controllers",
                      missing.empty() ? "cpu, cpuset, memory and pids can be used"
                                      : fmt::format("{} cannot be used: limits of Pods would have no effect",
                                                    joined_words(missing)),
                      facts.mode == CgroupMode::v2 ? "Boot with cgroup_enable=memory where it is off, and "
                                                     "give them to this group (systemd: Delegate=yes)."
                                                   : "Mount them below /sys/fs/cgroup, or boot with "
                                                     "cgroup_enable=NAME where the kernel has them off."));
  out.push_back(plain(facts.read_only.empty() ? Level::ok : Level::problem, "cgroup-writable",
                      facts.read_only.empty()
                          ? "the hierarchies can be written to"
                          : fmt::format("{} mounted read-only", joined_words(facts.read_only)),
                      "mount -o remount,rw DIR; in a container, run it privileged."));
  return out;
}

Findings check_limits(const LimitFacts& facts) {
  const std::string raise =
      "Raise it for root in /etc/security/limits.conf and for the engine by {}= in its unit, then log in "
      "again.";
  const auto by_limit = [&](const char* name) { return fmt::format(fmt::runtime(raise), name); };
  const auto by_sysctl = [](const char* key, std::uint64_t value) {
    return fmt::format("sysctl -w {0}={1}, and for good: echo {0}={1} > /etc/sysctl.d/90-rusternetes.conf",
                       key, value);
  };
  return {limit_finding("limit-nofile", "the hard limit of open files (RLIMIT_NOFILE)", facts.nofile,
                        least_nofile, good_nofile,
                        "no container gets more, and one that asks for more does not start",
                        by_limit("LimitNOFILE")),
          limit_finding("limit-nproc", "the hard limit of processes (RLIMIT_NPROC)", facts.nproc, least_nproc,
                        good_nproc, "forks fail on a node with many Pods", by_limit("LimitNPROC")),
          limit_finding("inotify-instances", "fs.inotify.max_user_instances", facts.inotify_instances,
                        least_instances, good_instances, "programs that follow files fail with many Pods",
                        by_sysctl("fs.inotify.max_user_instances", good_instances)),
          limit_finding("inotify-watches", "fs.inotify.max_user_watches", facts.inotify_watches,
                        least_watches, good_watches, "programs that follow files fail with many Pods",
                        by_sysctl("fs.inotify.max_user_watches", good_watches * 8)),
          limit_finding("pid-max", "kernel.pid_max", facts.pid_max, least_pids, good_pids,
                        "forks fail on a node with many Pods", by_sysctl("kernel.pid_max", 4'194'304))};
}

Findings check_memory(const MemoryFacts& facts) {
  const Level level = level_of(facts.available_bytes, least_memory, good_memory);
  return {
      plain(level, "memory",
            fmt::format("{} of {} available", size_text(facts.available_bytes), size_text(facts.total_bytes)),
            "End what is not needed, or add memory: a cluster needs about 40 MiB, and then come its Pods."),
      plain(Level::ok, "swap",
            facts.swap_bytes == 0
                ? "off"
                : fmt::format("{}: fine, containers of Pods with a memory limit get none of it",
                              size_text(facts.swap_bytes)),
            "")};
}

Findings check_clock(const ClockFacts& facts) {
  const char* set =
      "Set it (date -s, hwclock -w) and run a time service, for example: apt-get install chrony";
  Findings out;
  // A day for zones that a file's time was written without.
  const bool is_before_build = facts.now + std::chrono::hours(24) < facts.built_at;
  if (facts.now < oldest_release || is_before_build)
    out.push_back({Level::problem, "clock",
                   fmt::format("it is {} here, {}: certificates would not be valid", date_of(facts.now),
                               facts.now < oldest_release ? std::string("before 2024")
                                                          : "before these programs were installed (" +
                                                                date_of(facts.built_at) + ")"),
                   set});
  else
    out.push_back({Level::ok, "clock", fmt::format("it is {}", date_of(facts.now)), ""});
  if (!facts.is_synchronised)
    out.push_back(
        {Level::unknown, "clock-sync", "the kernel does not tell whether the clock is synchronised", ""});
  else
    out.push_back(
        plain(*facts.is_synchronised ? Level::ok : Level::warning, "clock-sync",
              *facts.is_synchronised ? "synchronised" : "no time service keeps the clock synchronised",
              "Run one, for example: apt-get install chrony (or systemd-timesyncd)"));
  return out;
}

Findings check_programs(const ProgramFacts& facts) {
  const char* build = "Build everything (scripts/build), or install it beside rusternetes-ctl.";
  const auto absent = [&](const std::vector<std::string>& names) {
    return fmt::format("{} not in {}, or not executable", joined_words(names), facts.folder.string());
  };
  Findings out;
  out.push_back(facts.missing.empty()
                    ? Finding{Level::ok, "programs", fmt::format("whole in {}", facts.folder.string()), ""}
                    : Finding{Level::problem, "programs", absent(facts.missing), build});
  out.push_back(facts.missing_components.empty()
                    ? Finding{Level::ok, "component-programs", "images can be made of them", ""}
                    : Finding{Level::warning, "component-programs",
                              absent(facts.missing_components) +
                                  ": --mode sqlite and --mode etcd need them, or images (--registry)",
                              build});
  out.push_back({Level::ok, "etcd",
                 facts.has_etcd
                     ? "there is one for --mode etcd"
                     : "there is none, which --mode etcd alone would need (apt install etcd-server, or "
                       "--image etcd=REFERENCE)",
                 ""});
  return out;
}

Findings check_init(bool has_systemd) {
  if (has_systemd)
    return {{Level::ok, "init", "systemd: running clusters come back after a reboot by their units", ""}};
  return {
      {Level::ok, "init",
       "no systemd: after a reboot, `rusternetes-ctl start NAME` brings a cluster back (cron's @reboot can "
       "do it)",
       ""}};
}

Findings check_home(const FolderFacts& facts) {
  const std::string fix = "Choose a local disk by --home or RUSTERNETES_HOME.";
  const std::string& type = facts.file_system;
  const std::string where = facts.path.string();
  if (!facts.is_writable)
    return {{Level::problem, "home", fmt::format("{} cannot be written to", facts.nearest.string()),
             "Make it writable, run this as root, or choose another by --home."}};
  // SQLite's WAL needs memory that all processes of the host share, and locks that hold.
  if (is_one_of(type, {"nfs", "cifs", "smb2", "9p", "afs", "coda", "ceph"}))
    return {{Level::problem, "home",
             fmt::format("{} is on {}, where a store's locks and mmap do not hold", where, type), fix}};
  if (type == "fuse")
    return {
        {Level::warning, "home", fmt::format("{} is on FUSE, which may lack locks and mmap", where), fix}};
  if (is_one_of(type, {"tmpfs", "ramfs"}))
    return {{Level::warning, "home",
             fmt::format("{} is in memory ({}): a reboot loses its clusters", where, type), fix}};
  return {{Level::ok, "home", fmt::format("{}, on {}", where, type), ""}};
}

Findings check_disk(const std::string& what, const FolderFacts& facts) {
  Level level = level_of(facts.free_bytes, least_disk, good_disk);
  std::string text = fmt::format("{} of {} free at {}", size_text(facts.free_bytes),
                                 size_text(facts.total_bytes), facts.path.string());
  if (facts.total_inodes > 0) {
    const std::uint64_t percent = facts.free_inodes * 100 / facts.total_inodes;
    const Level inodes = level_of(percent, least_inodes_percent, good_inodes_percent);
    if (inodes == Level::problem || level == Level::ok) level = inodes;
    text += fmt::format(", {} % of its inodes", percent);
  }
  return {
      plain(level, what, std::move(text),
            what == "disk-home"
                ? "Free space, or choose another disk by --home; a store that cannot write stops its cluster."
                : "Free space (podman system prune, docker system prune), or give the engine another disk.")};
}

}  // namespace rusternetes::launcher::doctor
