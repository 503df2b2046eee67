#include "kubelet/node/cgroups.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/log.h"

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

bool Cgroups::Hierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

Cgroups::Cgroups(std::string mount) {
  std::error_code ec;
  if (fs::exists(mount + "/cgroup.controllers", ec)) {
    Hierarchy unified{mount, true, {}};
    std::ifstream in(mount + "/cgroup.controllers");
    for (std::string word; in >> word;) unified.controllers.push_back(word);
    hierarchies_.push_back(std::move(unified));
    is_v2_ = true;
    return;
  }
  // "cpu,cpuacct" is one hierarchy; "cpu" beside it is a link to it.
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(mount, ec)) {
    if (!entry.is_directory(ec)) continue;
    const auto real = fs::canonical(entry.path(), ec).string();
    const bool is_v2 = fs::exists(real + "/cgroup.controllers", ec);
    if (!fs::exists(real + "/cgroup.procs", ec) || !seen.insert(real).second) continue;
    Hierarchy one{real, is_v2, {}};
    std::stringstream names(fs::path(real).filename().string());
    for (std::string name; std::getline(names, name, ',');) one.controllers.push_back(name);
    if (is_v2) one.controllers.clear();  // of a mix: only processes are there
    hierarchies_.push_back(std::move(one));
  }
}

namespace {

std::string read_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

Result<void> write_file(const std::string& path, const std::string& value) {
  std::ofstream out(path);
  out << value;
  out.flush();
  if (!out) return errno_error("write " + path, errno);
  return {};
}

}  // namespace

// Level by level: a v1 cpuset is born without processors and refuses processes, a v2 group delegates by its parent.
Result<void> Cgroups::make(const Hierarchy& hierarchy, const std::string& path) {
  std::string at = hierarchy.root;
  for (const auto& part : fs::path(path).relative_path()) {
    const std::string parent = at;
    at += "/" + part.string();
    if (::mkdir(at.c_str(), 0755) != 0 && errno != EEXIST) return errno_error("make cgroup " + at, errno);
    if (hierarchy.has("cpuset") && !hierarchy.is_v2)
      for (const char* file : {"/cpuset.cpus", "/cpuset.mems"})
        if (read_line(at + file).empty()) RN_CHECK(write_file(at + file, read_line(parent + file)));
    if (hierarchy.is_v2)
      for (const auto& controller : hierarchy.controllers)
        if (auto done = write_file(parent + "/cgroup.subtree_control", "+" + controller); !done)
          log::debug("kubelet", "{}", done.error().message);  // what the parent does not have cannot be delegated
  }
  return {};
}

void Cgroups::write(const Hierarchy& hierarchy, const std::string& path, const char* file, const std::string& value) {
  const std::string full = hierarchy.root + path + "/" + file;
  if (read_line(full) == value) return;
  if (auto done = write_file(full, value); !done) log::debug("kubelet", "{}", done.error().message);
}

Result<void> Cgroups::ensure(const std::string& path, std::int64_t cpu_shares) const {
  for (const auto& hierarchy : hierarchies_) {
    RN_CHECK(make(hierarchy, path));
    if (!hierarchy.has("cpu")) continue;
    if (hierarchy.is_v2)
      write(hierarchy, path, "cpu.weight", std::to_string(cpu_weight_of(cpu_shares)));
    else
      write(hierarchy, path, "cpu.shares", std::to_string(cpu_shares));
  }
  return {};
}

Result<void> Cgroups::ensure_pod(const std::string& path, const PodResources& resources) const {
  RN_CHECK(ensure(path, cpu_shares_of(resources.milli_cpu_request)));
  const auto quota = cpu_quota_us_of(resources.milli_cpu_limit.value_or(0));
  for (const auto& hierarchy : hierarchies_) {
    if (hierarchy.has("cpu")) {
      if (hierarchy.is_v2) {
        write(hierarchy, path, "cpu.max",
              (quota > 0 ? std::to_string(quota) : std::string("max")) + " " + std::to_string(kCpuPeriod_us));
      } else {
        write(hierarchy, path, "cpu.cfs_period_us", std::to_string(kCpuPeriod_us));
        write(hierarchy, path, "cpu.cfs_quota_us", std::to_string(quota > 0 ? quota : -1));
      }
    }
    if (hierarchy.has("memory") && resources.memory_limit_bytes)
      write(hierarchy, path, hierarchy.is_v2 ? "memory.max" : "memory.limit_in_bytes",
            std::to_string(*resources.memory_limit_bytes));
  }
  return {};
}

Result<void> Cgroups::remove(const std::string& path) const {
  Result<void> out;
  for (const auto& hierarchy : hierarchies_) {
    const std::string top = hierarchy.root + path;
    std::vector<std::string> groups{top};
    std::error_code ec;
    for (auto it = fs::recursive_directory_iterator(top, fs::directory_options::skip_permission_denied, ec);
         !ec && it != fs::recursive_directory_iterator(); it.increment(ec))
      if (it->is_directory(ec)) groups.push_back(it->path().string());
    std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (const auto& group : groups)
      if (::rmdir(group.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) out = errno_error("remove cgroup " + group, errno);
  }
  return out;
}

std::vector<std::string> Cgroups::children(const std::string& path) const {
  std::set<std::string> out;
  for (const auto& hierarchy : hierarchies_) {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(hierarchy.root + path, ec))
      if (entry.is_directory(ec)) out.insert(entry.path().filename().string());
  }
  return {out.begin(), out.end()};
}

}  // namespace rusternetes::kubelet
