#include "kubelet/server/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "apimachinery/json_text.h"
#include "base/log.h"
#include "base/release.h"

namespace rusternetes::kubelet {
namespace {

constexpr std::array<double, 11> kBounds_s = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};  // Prometheus' own
constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

void heading(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c == '\\' || c == '"') out += {'\\', c};
    else if (c == '\n') out += "\\n";
    else out += c;
  return out;
}

std::string seconds_text(std::uint64_t ns) { return fmt::format("{}", static_cast<double>(ns) / 1e9); }

// One metric over all that has it.
class Family {
 public:
  Family(std::string_view name, std::string_view type, std::string_view help) : name_(name), type_(type), help_(help) {}
  void add(const std::string& labels, const std::string& value, std::int64_t time_ns) {
    lines_ += fmt::format("{}{} {}", name_, labels.empty() ? "" : "{" + labels + "}", value);
    if (time_ns) lines_ += fmt::format(" {}", time_ns / 1'000'000);
    lines_ += '\n';
  }
  void write_to(std::string& out) const {
    if (lines_.empty()) return;
    heading(out, name_, type_, help_);
    out += lines_;
  }

 private:
  std::string name_, type_, help_, lines_;
};

// The three that node, Pods and containers have alike.
struct Families {
  Families(std::string_view what, std::string_view labelled)
      : cpu(fmt::format("{}_cpu_usage_seconds_total", what), "counter", fmt::format("[STABLE] Cumulative cpu time consumed by the {} in core-seconds", labelled)),
        memory(fmt::format("{}_memory_working_set_bytes", what), "gauge", fmt::format("[STABLE] Current working set of the {} in bytes", labelled)),
        swap(fmt::format("{}_swap_usage_bytes", what), "gauge", fmt::format("[ALPHA] Current amount of the {} swap usage in bytes", labelled)) {}
  void add(const std::string& labels, const Usage& usage) {
    if (usage.cpu_ns) cpu.add(labels, seconds_text(*usage.cpu_ns), usage.time_ns);
    if (usage.working_set_bytes) memory.add(labels, std::to_string(*usage.working_set_bytes), usage.time_ns);
    if (usage.swap_bytes) swap.add(labels, std::to_string(*usage.swap_bytes), usage.time_ns);
  }
  void write_to(std::string& out) const {
    cpu.write_to(out);
    memory.write_to(out);
    swap.write_to(out);
  }
  Family cpu, memory, swap;
};

std::string scrape_error(int count) {
  std::string out;
  heading(out, "resource_scrape_error", "gauge", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
  return out + fmt::format("resource_scrape_error {}\n", count);
}

// process_*, as Prometheus' client libraries name them.
std::string process_metrics() {
  std::string out;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  heading(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
  out += fmt::format("process_cpu_seconds_total {}\n", seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::error_code ec;
  const auto files = std::distance(std::filesystem::directory_iterator("/proc/self/fd", ec), std::filesystem::directory_iterator());
  heading(out, "process_open_fds", "gauge", "Number of open file descriptors.");
  out += fmt::format("process_open_fds {}\n", files);
  std::uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  heading(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
  out += fmt::format("process_virtual_memory_bytes {}\n", pages * page);
  heading(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
  return out + fmt::format("process_resident_memory_bytes {}\n", resident * page);
}

std::string_view state_word(engine::ContainerState state) {
  switch (state) {
    case engine::ContainerState::created:
      return "created";
    case engine::ContainerState::running:
      return "running";
    case engine::ContainerState::exited:
      return "exited";
    default:
      return "unknown";
  }
}

}  // namespace

std::string counted_path(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  path = path.substr(0, path.find('?'));
  const auto slash = path.find('/');
  const auto first = path.substr(0, slash);
  for (const std::string_view known : {"pods", "runningpods", "healthz", "containerLogs", "exec", "attach", "portForward", "logs", "configz"})
    if (first == known) return std::string(known);
  for (const std::string_view known : {"metrics/resource", "metrics/cadvisor", "metrics/probes", "metrics", "stats/summary"})
    if (path == known) return std::string(known);
  return "other";  // else anybody could fill the memory with paths
}

ServerMetrics::Mark::Mark(ServerMetrics& all, std::string_view method, std::string_view path) : all_(all) {
  const std::string counted = counted_path(path);
  const bool is_long = counted == "exec" || counted == "attach" || counted == "portForward";
  const bool is_known = method == "GET" || method == "HEAD" || method == "POST" || method == "PUT" || method == "DELETE" || method == "PATCH";
  labels_ = fmt::format("long_running=\"{}\",method=\"{}\",path=\"{}\",server_type=\"readwrite\"", is_long, is_known ? method : "other", counted);
  Series& series = all_.series_[labels_];
  ++series.in_flight;
  ++series.count;
}

ServerMetrics::Mark::~Mark() {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count();
  Series& series = all_.series_[labels_];
  --series.in_flight;
  series.seconds += seconds;
  std::size_t i = 0;
  while (i < kBounds_s.size() && seconds > kBounds_s[i]) ++i;
  ++series.buckets[i];
}

std::string ServerMetrics::text() const {
  std::string out;
  heading(out, "kubelet_http_requests_total", "counter", "[ALPHA] Number of the http requests received since the server started");
  for (const auto& [labels, series] : series_) out += fmt::format("kubelet_http_requests_total{{{}}} {}\n", labels, series.count);
  heading(out, "kubelet_http_inflight_requests", "gauge", "[ALPHA] Number of the inflight http requests");
  for (const auto& [labels, series] : series_) out += fmt::format("kubelet_http_inflight_requests{{{}}} {}\n", labels, series.in_flight);
  heading(out, "kubelet_http_requests_duration_seconds", "histogram", "[ALPHA] Duration in seconds to serve http requests");
  for (const auto& [labels, series] : series_) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kBounds_s.size(); ++i) {
      sum += series.buckets[i];
      out += fmt::format("kubelet_http_requests_duration_seconds_bucket{{{},le=\"{}\"}} {}\n", labels, kBounds_s[i], sum);
    }
    const std::uint64_t ended = series.count - series.in_flight;
    out += fmt::format("kubelet_http_requests_duration_seconds_bucket{{{},le=\"+Inf\"}} {}\n", labels, ended);
    out += fmt::format("kubelet_http_requests_duration_seconds_sum{{{}}} {}\n", labels, series.seconds);
    out += fmt::format("kubelet_http_requests_duration_seconds_count{{{}}} {}\n", labels, ended);
  }
  return out;
}

std::string resource_metrics(const Summary& summary) {
  Families node("node", "node"), pods("pod", "pod"), containers("container", "container");
  Family start("container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds");
  Family limit("container_swap_limit_bytes", "gauge", "[ALPHA] Current amount of the container swap limit in bytes");
  node.add("", summary.node.usage);
  for (const auto& pod : summary.pods) {
    const std::string labels = fmt::format("namespace=\"{}\",pod=\"{}\"", label_value(pod.name_space), label_value(pod.name));
    for (const auto& container : pod.containers) {
      const std::string own = fmt::format("container=\"{}\",{}", label_value(container.name), labels);
      if (container.started_at_ns > 0) start.add(own, seconds_text(static_cast<std::uint64_t>(container.started_at_ns)), 0);
      const Usage& usage = container.consumption.usage;
      containers.add(own, usage);
      if (usage.swap_limit_bytes) limit.add(own, std::to_string(*usage.swap_limit_bytes), usage.time_ns);
    }
    pods.add(labels, pod.consumption.usage);
  }
  std::string out;
  containers.write_to(out);
  start.write_to(out);
  limit.write_to(out);
  node.write_to(out);
  pods.write_to(out);
  return out + scrape_error(0);
}

std::string failed_resource_metrics() { return scrape_error(1); }

MetricsEndpoints::MetricsEndpoints(Parts parts) : parts_(parts), source_(std::move(parts)) {}

bool MetricsEndpoints::serves(const std::vector<std::string>& path) {
  if (path.size() == 1) return path[0] == "metrics" || path[0] == "runningpods";
  return path.size() == 2 && ((path[0] == "metrics" && path[1] == "resource") || (path[0] == "stats" && path[1] == "summary"));
}

Task<MetricsEndpoints::Answer> MetricsEndpoints::answer(std::vector<std::string> path, std::map<std::string, std::string> query) {
  Answer out;
  if (path[0] == "runningpods") {
    out = co_await running_pods();
  } else if (path[0] == "stats") {
    const std::string& only = query["only_cpu_and_memory"];
    out = co_await summary(only == "true" || only == "1");
  } else if (path.size() == 2) {
    out = co_await resource();
  } else {
    out = co_await own();
  }
  co_return out;
}

Task<MetricsEndpoints::Answer> MetricsEndpoints::summary(bool only_cpu_and_memory) {
  auto collected = co_await source_.collect();
  if (!collected) co_return Answer{500, "text/plain; charset=utf-8", "Internal Error: " + collected.error().message};
  co_return Answer{200, "application/json", summary_json(*collected, only_cpu_and_memory)};
}

Task<MetricsEndpoints::Answer> MetricsEndpoints::resource() {
  auto collected = co_await source_.collect();
  if (!collected) {
    log::warn("kubelet", "what containers use is not known: {}", collected.error().message);
    co_return Answer{200, kMetricsType, failed_resource_metrics()};
  }
  co_return Answer{200, kMetricsType, resource_metrics(*collected)};
}

Task<MetricsEndpoints::Answer> MetricsEndpoints::own() {
  std::string out;
  heading(out, "kubernetes_build_info", "gauge", "[ALPHA] The version of the API that this kubelet speaks");
  out += fmt::format("kubernetes_build_info{{git_version=\"{}\",major=\"1\",minor=\"35\"}} 1\n", kubernetes_release);
  heading(out, "kubelet_node_name", "gauge", "[ALPHA] The node's name. The count is always 1.");
  out += fmt::format("kubelet_node_name{{node=\"{}\"}} 1\n", label_value(parts_.options.node_name));
  heading(out, "kubelet_desired_pods", "gauge", "[ALPHA] The number of pods the kubelet is being instructed to run");
  out += fmt::format("kubelet_desired_pods{{static=\"\"}} {}\n", parts_.list_pods().size());
  auto sandboxes = co_await parts_.runtime.list_pod_sandboxes({});
  auto containers = co_await parts_.runtime.list_containers({});
  if (sandboxes && containers) {
    const auto running = std::count_if(sandboxes->begin(), sandboxes->end(), [](const auto& one) { return one.state == engine::SandboxState::ready; });
    heading(out, "kubelet_running_pods", "gauge", "[ALPHA] Number of pods that have a running pod sandbox");
    out += fmt::format("kubelet_running_pods {}\n", running);
    std::map<std::string_view, int> states;
    for (const auto& container : *containers) ++states[state_word(container.state)];
    heading(out, "kubelet_running_containers", "gauge", "[ALPHA] Number of containers by their state");
    for (const auto& [state, count] : states) out += fmt::format("kubelet_running_containers{{container_state=\"{}\"}} {}\n", state, count);
  }
  out += server_.text();
  co_return Answer{200, kMetricsType, out + process_metrics()};
}

// What the runtime runs, whatever the API says.
Task<MetricsEndpoints::Answer> MetricsEndpoints::running_pods() {
  auto sandboxes = co_await parts_.runtime.list_pod_sandboxes({});
  if (!sandboxes) co_return Answer{500, "text/plain; charset=utf-8", sandboxes.error().message};
  auto containers = co_await parts_.runtime.list_containers({});
  if (!containers) co_return Answer{500, "text/plain; charset=utf-8", containers.error().message};
  std::string out = R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[)";
  bool is_first = true;
  const auto field = [&](std::string_view name, std::string_view value) {
    out += fmt::format("\"{}\":", name);
    apimachinery::append_json_string(out, value);
  };
  for (const auto& sandbox : *sandboxes) {
    if (sandbox.state != engine::SandboxState::ready) continue;
    out += is_first ? R"({"metadata":{)" : R"(,{"metadata":{)";
    is_first = false;
    field("name", sandbox.name);
    out += ',';
    field("namespace", sandbox.namespace_name);
    out += ',';
    field("uid", sandbox.uid);
    out += R"(},"spec":{"containers":[)";
    bool has_one = false;
    for (const auto& container : *containers) {
      if (container.sandbox_id != sandbox.id || container.state != engine::ContainerState::running) continue;
      out += has_one ? ",{" : "{";
      has_one = true;
      field("name", container.name);
      out += ',';
      field("image", container.image_id);
      out += R"(,"resources":{}})";
    }
    out += R"(]},"status":{}})";
  }
  co_return Answer{200, "application/json", out + "]}"};
}

}  // namespace rusternetes::kubelet
