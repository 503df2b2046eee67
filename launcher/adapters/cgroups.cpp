#include "launcher/adapters/cgroups.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "launcher/adapters/host.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
using SteadyTime = std::chrono::steady_clock::time_point;

// The groups that are there, in each hierarchy: of v2 alone at the mount itself, of v1 one folder below.
std::vector<fs::path> tops(const CgroupRemoval& wanted) {
  std::vector<fs::path> hierarchies{wanted.mount};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(wanted.mount, error))
    if (!entry.is_symlink(error) && entry.is_directory(error)) hierarchies.push_back(entry.path());
  std::vector<fs::path> out;
  for (const fs::path& hierarchy : hierarchies)
    for (const std::string& group : wanted.groups)
      if (fs::path top = hierarchy.string() + group; fs::is_directory(top, error))
        out.push_back(std::move(top));
  return out;
}

struct Left {
  std::set<pid_t> monitors;   // of engines: they end some time after their container
  std::set<pid_t> processes;  // others
  std::string group;          // one that could not be removed
};

Left remove_once(const CgroupRemoval& wanted) {
  Left left;
  for (const fs::path& top : tops(wanted)) {
    std::error_code error;
    std::vector<fs::path> groups{top};
    for (auto at = fs::recursive_directory_iterator(top, error);
         !error && at != fs::recursive_directory_iterator(); at.increment(error))
      if (std::error_code ignored; at->is_directory(ignored)) groups.push_back(at->path());
    // The deepest first: a path is longer than those of the groups around it.
    std::sort(groups.begin(), groups.end(),
              [](const fs::path& a, const fs::path& b) { return a.native().size() > b.native().size(); });
    for (const fs::path& group : groups) {
      if (::rmdir(group.c_str()) == 0 || errno == ENOENT) continue;
      left.group = group;
      std::ifstream in(group / "cgroup.procs");
      for (pid_t pid = 0; in >> pid;)
        if (pid > 0) (group.filename() == "conmon" ? left.monitors : left.processes).insert(pid);
    }
  }
  return left;
}

// False when one of them still runs at the deadline.
bool wait_for_end(const std::set<pid_t>& pids, SteadyTime deadline) {
  for (const pid_t pid : pids) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) continue;  // has ended
    pollfd poll{fd, POLLIN, 0};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ended = ::poll(&poll, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
    ::close(fd);
    if (ended != 1) return false;
  }
  return true;
}

// A process has left its group some time after its end is told.
constexpr std::chrono::milliseconds retry_delay{10};

}  // namespace

Result<> remove_cgroups(const CgroupRemoval& wanted) {
  SteadyTime deadline = std::chrono::steady_clock::now() + wanted.patience;
  bool is_killed = false;
  for (;;) {
    Left left = remove_once(wanted);
    if (left.group.empty()) return {};
    if (!wanted.must_end && !left.processes.empty()) return {};
    left.monitors.merge(left.processes);
    const bool has_ended = wait_for_end(left.monitors, deadline);
    if (has_ended && std::chrono::steady_clock::now() < deadline) {
      ::poll(nullptr, 0, retry_delay.count());
      continue;
    }
    if (!wanted.must_end) return {};
    if (is_killed) return internal_error(fmt::format("cannot remove the cgroup {}", left.group));
    for (const pid_t pid : left.monitors) ::kill(pid, SIGKILL);
    is_killed = true;
    deadline = std::chrono::steady_clock::now() + wanted.kill_patience;
  }
}

std::vector<std::string> cgroups_of(const std::string& cluster) {
  std::string slice = "rusternetes_" + cluster;
  std::replace(slice.begin(), slice.end(), '-', '_');
  return {"/rusternetes-" + cluster, "/" + slice + ".slice"};
}

Result<> LinuxHost::remove_cgroups(const std::string& cluster, bool must_end) {
  return launcher::remove_cgroups({.groups = cgroups_of(cluster), .must_end = must_end});
}

}  // namespace rusternetes::launcher
