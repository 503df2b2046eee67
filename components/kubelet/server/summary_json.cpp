// The JSON of /stats/summary.

#include <fmt/format.h>

#include "apimachinery/json_text.h"
#include "apimachinery/time.h"
#include "kubelet/server/summary.h"

namespace rusternetes::kubelet {
namespace {

// Objects within objects, with the commas in their places.
class Writer {
 public:
  std::string take() { return std::move(out_); }
  void open(std::string_view name) { begin(name, '{'); }
  void open_list(std::string_view name) { begin(name, '['); }
  void close() { end('}'); }
  void close_list() { end(']'); }
  void text(std::string_view name, std::string_view value) {
    key(name);
    apimachinery::append_json_string(out_, value);
  }
  void number(std::string_view name, std::uint64_t value) {
    key(name);
    out_ += std::to_string(value);
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) number(name, *value);
  }
  void time(std::string_view name, std::int64_t time_us) {
    key(name);
    apimachinery::append_json_string(out_, apimachinery::format_time(time_us));
  }

 private:
  void key(std::string_view name) {
    if (needs_comma_) out_ += ',';
    needs_comma_ = true;
    if (name.empty()) return;
    apimachinery::append_json_string(out_, name);
    out_ += ':';
  }
  void begin(std::string_view name, char c) {
    key(name);
    out_ += c;
    needs_comma_ = false;
  }
  void end(char c) {
    out_ += c;
    needs_comma_ = true;
  }
  std::string out_;
  bool needs_comma_ = false;
};

void write_consumption(Writer& out, const Consumption& consumption) {
  const Usage& usage = consumption.usage;
  const std::int64_t time_us = usage.time_ns / 1000;
  if (usage.cpu_ns) {
    out.open("cpu");
    out.time("time", time_us);
    out.number("usageNanoCores", consumption.cpu_nano_cores);
    out.number("usageCoreNanoSeconds", usage.cpu_ns);
    out.close();
  }
  if (usage.memory_bytes) {
    out.open("memory");
    out.time("time", time_us);
    if (usage.memory_limit_bytes && usage.working_set_bytes)
      out.number("availableBytes", *usage.memory_limit_bytes > *usage.working_set_bytes ? *usage.memory_limit_bytes - *usage.working_set_bytes : 0);
    out.number("usageBytes", usage.memory_bytes);
    out.number("workingSetBytes", usage.working_set_bytes);
    out.number("rssBytes", usage.rss_bytes);
    out.number("pageFaults", usage.page_faults);
    out.number("majorPageFaults", usage.major_page_faults);
    out.close();
  }
}

void write_swap(Writer& out, const Usage& usage) {
  if (!usage.swap_bytes) return;
  out.open("swap");
  out.time("time", usage.time_ns / 1000);
  if (usage.swap_limit_bytes) out.number("swapAvailableBytes", *usage.swap_limit_bytes > *usage.swap_bytes ? *usage.swap_limit_bytes - *usage.swap_bytes : 0);
  out.number("swapUsageBytes", usage.swap_bytes);
  out.close();
}

void write_file_system(Writer& out, std::string_view name, const std::optional<FileSystemUsage>& from, std::int64_t time_ns, bool is_whole) {
  if (!from) return;
  out.open(name);
  out.time("time", time_ns / 1000);
  out.number("availableBytes", from->available_bytes);
  out.number("capacityBytes", from->capacity_bytes);
  // Of a whole file system what is not free is used; of a part it has to be counted.
  out.number("usedBytes", is_whole ? std::optional(from->capacity_bytes - from->available_bytes) : from->used_bytes);
  out.number("inodesFree", from->inodes_free);
  out.number("inodes", from->inodes);
  out.number("inodesUsed", is_whole ? std::optional(from->inodes - from->inodes_free) : from->inodes_used);
  out.close();
}

void write_interface(Writer& out, const InterfaceUsage& one) {
  out.text("name", one.name);
  out.number("rxBytes", one.rx_bytes);
  out.number("rxErrors", one.rx_errors);
  out.number("txBytes", one.tx_bytes);
  out.number("txErrors", one.tx_errors);
}

void write_network(Writer& out, const std::vector<InterfaceUsage>& interfaces, std::int64_t time_ns) {
  if (interfaces.empty()) return;
  out.open("network");
  out.time("time", time_ns / 1000);
  const InterfaceUsage* first = &interfaces.front();
  for (const auto& one : interfaces)
    if (one.name == "eth0") first = &one;
  write_interface(out, *first);
  out.open_list("interfaces");
  for (const auto& one : interfaces) {
    out.open("");
    write_interface(out, one);
    out.close();
  }
  out.close_list();
  out.close();
}

void write_container(Writer& out, const ContainerSummary& container, bool is_short) {
  out.open("");
  out.text("name", container.name);
  out.time("startTime", container.started_at_ns / 1000);
  write_consumption(out, container.consumption);
  if (!is_short) {
    write_file_system(out, "rootfs", container.rootfs, container.consumption.usage.time_ns, false);
    write_file_system(out, "logs", container.logs, container.consumption.usage.time_ns, false);
  }
  write_swap(out, container.consumption.usage);
  out.close();
}

void write_pod(Writer& out, const PodSummary& pod, bool is_short) {
  out.open("");
  out.open("podRef");
  out.text("name", pod.name);
  out.text("namespace", pod.name_space);
  out.text("uid", pod.uid);
  out.close();
  out.time("startTime", pod.started_at_us);
  out.open_list("containers");
  for (const auto& container : pod.containers) write_container(out, container, is_short);
  out.close_list();
  write_consumption(out, pod.consumption);
  if (pod.interfaces && !is_short) write_network(out, *pod.interfaces, pod.network_time_ns);
  write_swap(out, pod.consumption.usage);
  out.close();
}

void write_node(Writer& out, const Summary& summary, bool is_short) {
  out.open("node");
  out.text("nodeName", summary.node_name);
  if (summary.pods_group) {
    out.open_list("systemContainers");
    out.open("");
    out.text("name", "pods");
    out.time("startTime", summary.booted_at_s * 1'000'000);
    write_consumption(out, *summary.pods_group);
    out.close();
    out.close_list();
  }
  out.time("startTime", summary.booted_at_s * 1'000'000);
  write_consumption(out, summary.node);
  write_swap(out, summary.node.usage);
  if (!is_short) {
    write_network(out, summary.interfaces, summary.time_ns);
    write_file_system(out, "fs", summary.file_system, summary.time_ns, true);
    out.open("rlimit");
    out.time("time", summary.time_ns / 1000);
    out.number("maxpid", static_cast<std::uint64_t>(summary.pids_most));
    out.number("curproc", static_cast<std::uint64_t>(summary.pids));
    out.close();
  }
  out.close();
}

}  // namespace

std::string summary_json(const Summary& summary, bool only_cpu_and_memory) {
  Writer out;
  out.open("");
  write_node(out, summary, only_cpu_and_memory);
  out.open_list("pods");
  for (const auto& pod : summary.pods) write_pod(out, pod, only_cpu_and_memory);
  out.close_list();
  out.close();
  return out.take();
}

}  // namespace rusternetes::kubelet
