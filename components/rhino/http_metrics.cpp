// /metrics in Prometheus' text form, under etcd's names for what is known here. What is not known is absent.

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "rhino/http_endpoints.h"

namespace rusternetes::rhino {
namespace {

class Page {
 public:
  void add(std::string_view name, std::string_view type, std::string_view help, double value,
           std::string_view labels = {}) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n{}{} {}\n", name, help, name, type, name, labels,
                         value);
  }
  void gauge(std::string_view name, std::string_view help, double value, std::string_view labels = {}) {
    add(name, "gauge", help, value, labels);
  }
  void known_gauge(std::string_view name, std::string_view help, std::int64_t value) {
    if (value >= 0) gauge(name, help, static_cast<double>(value));
  }
  void counter(std::string_view name, std::string_view help, std::int64_t value) {
    add(name, "counter", help, static_cast<double>(value));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

int open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (!folder) return -1;
  int count = -3;  // "." and "..", and the folder's own descriptor
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  return count;
}

// Fields of /proc/self/stat after the name in parentheses; the first is the state.
std::vector<std::string> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream rest(line.substr(std::min(line.rfind(')') + 1, line.size())));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

double boot_time_s() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;)
    if (double value = 0; word == "btime" && file >> value) return value;
  return 0;
}

}  // namespace

std::string process_metrics() {
  Page page;
  const auto fields = stat_fields();
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (fields.size() > 21) {
    page.add("process_cpu_seconds_total", "counter", "Processor time spent, user and system, in seconds.",
             (std::stod(fields[11]) + std::stod(fields[12])) / ticks);
    page.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", std::stod(fields[20]));
    page.gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
               std::stod(fields[21]) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    if (const double boot = boot_time_s(); boot > 0)
      page.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.",
                 boot + std::stod(fields[19]) / ticks);
  }
  rlimit limit{};
  const int open = open_files();
  const bool is_limited = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (open >= 0) {
    page.gauge("process_open_fds", "Open file descriptors.", open);
    page.gauge("os_fd_used", "Open file descriptors.", open);
  }
  if (is_limited) {
    page.gauge("process_max_fds", "Most file descriptors that may be open.",
               static_cast<double>(limit.rlim_cur));
    page.gauge("os_fd_limit", "Most file descriptors that may be open.", static_cast<double>(limit.rlim_cur));
  }
  return page.take();
}

std::string HttpEndpoints::metrics() const {
  Page page;
  const auto counters = options_.counters();
  const auto store = options_.figures();
  page.gauge("etcd_cluster_version", "Which version of etcd's API the cluster has.", 1,
             R"({cluster_version="3.6"})");
  page.gauge("etcd_server_version", "Which version of etcd is kept to.", 1,
             fmt::format(R"({{server_version="{}"}})", etcd_version));
  page.gauge("etcd_server_id", "The member's id, in base 16.", 1,
             fmt::format(R"({{server_id="{:x}"}})", options_.member_id));
  page.gauge("etcd_server_has_leader", "Whether there is a leader.", 1);
  page.gauge("etcd_server_is_leader", "Whether this member is the leader.", 1);
  page.gauge("etcd_server_is_learner", "Whether this member is a learner.", 0);
  page.counter("etcd_server_health_success", "Health checks that passed.", health_success_);
  page.counter("etcd_server_health_failures", "Health checks that failed.", health_failures_);
  page.known_gauge("etcd_server_quota_backend_bytes", "Size at which writes are refused, in bytes.",
                   store.quota_bytes);
  page.known_gauge("etcd_mvcc_db_total_size_in_bytes", "Size of the store's file, in bytes.",
                   store.size_bytes);
  page.known_gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the store's file that hold data.",
                   store.used_bytes);
  page.known_gauge("etcd_debugging_mvcc_current_revision", "The store's revision.", store.revision);
  page.gauge("etcd_debugging_mvcc_compact_revision", "The revision compacted to; -1: none.",
             static_cast<double>(store.compact_revision));
  page.known_gauge("etcd_debugging_mvcc_keys_total", "Keys in the store.", store.keys);
  page.gauge("etcd_debugging_mvcc_watch_stream_total", "Watch streams.",
             static_cast<double>(counters.watch_streams));
  page.gauge("etcd_debugging_mvcc_watcher_total", "Watchers.", static_cast<double>(counters.watchers));
  page.counter("etcd_debugging_mvcc_events_total", "Events sent to watchers.", counters.events);
  page.counter("etcd_mvcc_put_total", "Puts.", counters.puts);
  page.counter("etcd_mvcc_delete_total", "Deletes.", counters.deletes);
  page.counter("etcd_mvcc_range_total", "Ranges.", counters.ranges);
  page.counter("etcd_mvcc_txn_total", "Transactions.", counters.txns);
  page.counter("etcd_debugging_lease_granted_total", "Leases granted.", counters.leases_granted);
  page.counter("etcd_debugging_lease_revoked_total", "Leases revoked.", counters.leases_revoked);
  return page.take() + process_metrics();
}

}  // namespace rusternetes::rhino
