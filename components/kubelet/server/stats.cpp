#include "kubelet/server/stats.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rusternetes::kubelet {
namespace {

// A limit of v1 that nobody set is the largest multiple of a page.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  const std::string text = read_text(path);
  std::uint64_t out = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), out).ec != std::errc{}) return {};
  return out;
}

std::optional<std::uint64_t> field(const std::map<std::string, std::uint64_t, std::less<>>& fields, std::string_view name) {
  auto it = fields.find(name);
  if (it == fields.end()) return {};
  return it->second;
}

void set_working_set(Usage& usage, std::optional<std::uint64_t> inactive) {
  if (!usage.memory_bytes) return;
  const std::uint64_t cold = inactive.value_or(0);
  usage.working_set_bytes = *usage.memory_bytes > cold ? *usage.memory_bytes - cold : 0;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::map<std::string, std::uint64_t, std::less<>> parse_fields(std::string_view text) {
  std::map<std::string, std::uint64_t, std::less<>> out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (!(words >> name >> value)) continue;
    if (name.ends_with(':')) name.pop_back();
    out.emplace(std::move(name), value);
  }
  return out;
}

std::vector<InterfaceUsage> parse_interfaces(std::string_view net_dev) {
  std::vector<InterfaceUsage> out;
  std::istringstream lines{std::string(net_dev)};
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;  // the two lines of the heading
    InterfaceUsage one;
    one.name = line.substr(0, colon);
    one.name.erase(0, one.name.find_first_not_of(' '));
    std::istringstream words(line.substr(colon + 1));
    std::uint64_t ignored = 0;
    words >> one.rx_bytes >> ignored >> one.rx_errors;
    for (int i = 0; i < 5; ++i) words >> ignored;  // drop, fifo, frame, compressed, multicast
    words >> one.tx_bytes >> ignored >> one.tx_errors;
    if (words && one.name != "lo") out.push_back(std::move(one));
  }
  return out;
}

UsageReader::UsageReader(std::string cgroup_mount, std::string proc) : mount_(std::move(cgroup_mount)), proc_(std::move(proc)) {
  std::error_code ec;
  is_v2_ = std::filesystem::exists(mount_ + "/cgroup.controllers", ec);
}

void UsageReader::read_v2(const std::string& folder, Usage& out) const {
  if (const auto cpu = field(parse_fields(read_text(folder + "/cpu.stat")), "usage_usec")) out.cpu_ns = *cpu * 1000;
  out.memory_bytes = read_number(folder + "/memory.current");
  const auto memory = parse_fields(read_text(folder + "/memory.stat"));
  set_working_set(out, field(memory, "inactive_file"));
  out.rss_bytes = field(memory, "anon");
  out.page_faults = field(memory, "pgfault");
  out.major_page_faults = field(memory, "pgmajfault");
  out.memory_limit_bytes = read_number(folder + "/memory.max");  // "max": no number
  out.swap_bytes = read_number(folder + "/memory.swap.current");
  out.swap_limit_bytes = read_number(folder + "/memory.swap.max");
}

void UsageReader::read_v1(const Paths& paths, Usage& out) const {
  if (auto cpu = paths.find("cpuacct"); cpu != paths.end()) out.cpu_ns = read_number(mount_ + "/cpuacct" + cpu->second + "/cpuacct.usage");
  auto memory_at = paths.find("memory");
  if (memory_at == paths.end()) return;
  const std::string folder = mount_ + "/memory" + memory_at->second;
  out.memory_bytes = read_number(folder + "/memory.usage_in_bytes");
  const auto memory = parse_fields(read_text(folder + "/memory.stat"));
  set_working_set(out, field(memory, "total_inactive_file"));
  out.rss_bytes = field(memory, "total_rss");
  out.page_faults = field(memory, "total_pgfault");
  out.major_page_faults = field(memory, "total_pgmajfault");
  out.swap_bytes = field(memory, "total_swap");
  if (const auto limit = read_number(folder + "/memory.limit_in_bytes"); limit && *limit < kNoLimit) out.memory_limit_bytes = limit;
}

Usage UsageReader::read(const Paths& paths) const {
  Usage out;
  out.time_ns = now_ns();
  if (is_v2_) {
    if (auto one = paths.find(""); one != paths.end()) read_v2(mount_ + one->second, out);
  } else {
    read_v1(paths, out);
  }
  return out;
}

Usage UsageReader::group(const std::string& path) const { return read({{"", path}, {"cpuacct", path}, {"memory", path}}); }

Usage UsageReader::process_group(int pid) const {
  Paths paths;
  std::istringstream lines(read_text(fmt::format("{}/{}/cgroup", proc_, pid)));
  for (std::string line; std::getline(lines, line);) {  // "4:cpu,cpuacct:/kubepods/x", "0::/kubepods/x"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    if (second == first + 1) paths[""] = path;
    for (std::string name; std::getline(names, name, ',');) paths[name] = path;
  }
  return read(paths);
}

Usage UsageReader::machine() const {
  Usage out;
  out.time_ns = now_ns();
  std::istringstream cpu(read_text(proc_ + "/stat"));  // "cpu user nice system idle iowait irq softirq steal ..."
  std::string name;
  std::uint64_t ticks[8] = {};
  cpu >> name;
  for (auto& one : ticks) cpu >> one;
  if (cpu) {
    const std::uint64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
    out.cpu_ns = busy * (1'000'000'000 / static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK))));
  }
  const auto memory = parse_fields(read_text(proc_ + "/meminfo"));
  const auto total = field(memory, "MemTotal"), free = field(memory, "MemFree");
  if (total && free) {
    out.memory_limit_bytes = *total * 1024;
    out.memory_bytes = (*total - *free) * 1024;
    set_working_set(out, field(memory, "Inactive(file)").value_or(0) * 1024);
  }
  if (const auto anonymous = field(memory, "AnonPages")) out.rss_bytes = *anonymous * 1024;
  const auto swap_total = field(memory, "SwapTotal"), swap_free = field(memory, "SwapFree");
  if (swap_total && swap_free) {
    out.swap_limit_bytes = *swap_total * 1024;
    out.swap_bytes = (*swap_total - *swap_free) * 1024;
  }
  const auto faults = parse_fields(read_text(proc_ + "/vmstat"));
  out.page_faults = field(faults, "pgfault");
  out.major_page_faults = field(faults, "pgmajfault");
  return out;
}

std::vector<InterfaceUsage> UsageReader::interfaces(int pid) const {
  return parse_interfaces(read_text(pid ? fmt::format("{}/{}/net/dev", proc_, pid) : proc_ + "/thread-self/net/dev"));
}

std::int64_t UsageReader::boot_time_s() const {
  return static_cast<std::int64_t>(field(parse_fields(read_text(proc_ + "/stat")), "btime").value_or(0));
}

std::optional<FileSystemUsage> file_system(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return {};
  FileSystemUsage out;
  out.available_bytes = info.f_bavail * info.f_frsize;
  out.capacity_bytes = info.f_blocks * info.f_frsize;
  out.inodes_free = info.f_favail;
  out.inodes = info.f_files;
  return out;
}

}  // namespace rusternetes::kubelet
