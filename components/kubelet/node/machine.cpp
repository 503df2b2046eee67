#include "kubelet/node/machine.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kubelet/container/pod_files.h"

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// "MemTotal:       16384 kB" in bytes.
std::int64_t meminfo(std::string_view key) {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    std::stringstream words(line);
    std::string name;
    std::int64_t kib = 0;
    words >> name >> kib;
    if (name == key) return kib * 1024;
  }
  return 0;
}

std::string os_image() {
  std::ifstream in("/etc/os-release");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string value = line.substr(12);
    std::erase(value, '"');
    return value;
  }
  return "Linux";
}

std::string architecture(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

std::map<std::string, std::int64_t> huge_pages() {
  std::map<std::string, std::int64_t> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", ec)) {
    const auto name = entry.path().filename().string();  // "hugepages-2048kB"
    if (!name.starts_with("hugepages-")) continue;
    const std::int64_t kib = std::atoll(name.c_str() + 10);
    const std::int64_t count = std::atoll(first_line(entry.path().string() + "/nr_hugepages").c_str());
    const std::string size = kib >= 1 << 20 ? std::to_string(kib >> 20) + "Gi" : kib >= 1024 ? std::to_string(kib >> 10) + "Mi" : std::to_string(kib) + "Ki";
    out["hugepages-" + size] = count * kib * 1024;
  }
  return out;
}

}  // namespace

Machine read_machine() {
  Machine out;
  out.cpus = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  out.memory_bytes = meminfo("MemTotal:");
  out.huge_pages = huge_pages();
  out.machine_id = first_line("/etc/machine-id");
  out.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (out.system_uuid.empty()) out.system_uuid = out.machine_id;
  out.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  utsname name{};
  ::uname(&name);
  out.kernel_version = name.release;
  out.os_image = os_image();
  out.architecture = architecture(name.machine);
  return out;
}

MachineLoad read_load(const std::string& folder) {
  MachineLoad out;
  out.memory_available_bytes = meminfo("MemAvailable:");
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) == 0) {
    out.disk_capacity_bytes = static_cast<std::int64_t>(info.f_blocks * info.f_frsize);
    out.disk_available_bytes = static_cast<std::int64_t>(info.f_bavail * info.f_frsize);
    out.inodes = static_cast<std::int64_t>(info.f_files);
    out.inodes_available = static_cast<std::int64_t>(info.f_favail);
  }
  // "0.01 0.02 0.05 2/345 6789": running and all tasks.
  const std::string load = first_line("/proc/loadavg");
  if (const auto slash = load.find('/'); slash != std::string::npos) out.pids = std::atoll(load.c_str() + slash + 1);
  out.pids_most = std::atoll(first_line("/proc/sys/kernel/pid_max").c_str());
  return out;
}

}  // namespace rusternetes::kubelet
