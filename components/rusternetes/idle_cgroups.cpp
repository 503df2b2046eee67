#include "rusternetes/idle_cgroups.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace rusternetes {

namespace fs = std::filesystem;

namespace {

// The group in each hierarchy: of v2 alone at the mount itself, of v1 one folder below.
std::vector<fs::path> tops(const std::string& group, const fs::path& mount) {
  std::vector<fs::path> out;
  std::error_code error;
  auto add = [&](const fs::path& hierarchy) {
    const fs::path top = hierarchy.string() + group;
    if (!fs::is_symlink(hierarchy, error) && fs::is_directory(top, error)) out.push_back(top);
  };
  add(mount);
  for (const auto& entry : fs::directory_iterator(mount, error)) add(entry.path());
  return out;
}

std::vector<pid_t> processes(const fs::path& group) {
  std::ifstream in(group / "cgroup.procs");
  std::vector<pid_t> out;
  for (pid_t pid = 0; in >> pid;) out.push_back(pid);
  return out;
}

struct Left {
  bool has_container = false;
  std::vector<pid_t> monitors;
};

Left remove_once(const std::vector<fs::path>& tops) {
  Left left;
  for (const auto& top : tops) {
    std::error_code error;
    std::vector<fs::path> groups{top};
    for (auto it = fs::recursive_directory_iterator(top, error);
         !error && it != fs::recursive_directory_iterator(); it.increment(error))
      if (std::error_code ignored; it->is_directory(ignored)) groups.push_back(it->path());
    std::ranges::sort(groups, std::greater{}, [](const fs::path& path) { return path.native().size(); });
    for (const auto& group : groups) {
      if (::rmdir(group.c_str()) == 0) continue;
      const auto inside = processes(group);
      if (group.filename() == "conmon")
        left.monitors.insert(left.monitors.end(), inside.begin(), inside.end());
      else if (!inside.empty())
        left.has_container = true;
    }
  }
  return left;
}

// Returns at the end of all of them, or false at the deadline.
bool wait_for_end(const std::vector<pid_t>& pids, std::chrono::steady_clock::time_point deadline) {
  for (const pid_t pid : pids) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) continue;  // ended
    pollfd poll{fd, POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    const int ended = ::poll(&poll, 1, static_cast<int>(std::max<long long>(left, 0)));
    ::close(fd);
    if (ended != 1) return false;
  }
  return true;
}

}  // namespace

void remove_idle_cgroups(const std::string& group, std::chrono::milliseconds patience,
                         const std::string& mount) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const Left left = remove_once(tops(group, mount));
    // A Pod that runs on keeps its monitor.
    if (left.has_container || left.monitors.empty() || !wait_for_end(left.monitors, deadline)) return;
  }
}

}  // namespace rusternetes
