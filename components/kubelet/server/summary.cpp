#include "kubelet/server/summary.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "apimachinery/time.h"
#include "base/log.h"
#include "kubelet/container/resources.h"
#include "kubelet/node/machine.h"
#include "network/namespace.h"

namespace rusternetes::kubelet {
namespace {

// Rates over less are noise.
constexpr std::int64_t kShortestRate_ns = 1'000'000'000;

}  // namespace

struct SummarySource::Plan {
  struct PodPlan {
    PodSummary summary;
    std::string cgroup;
    int network_pid = 0;
    std::string sandbox_id;
    std::vector<Process> processes;  // beside summary.containers, as the ids
    std::vector<std::string> ids;
  };
  std::map<std::string, PodPlan> pods;  // by UID
  std::set<std::string> alive;          // container and sandbox ids
  std::string pods_cgroup;
  Summary summary;
};

Task<Result<void>> SummarySource::add_container(engine::Container container, Plan& plan) {
  plan.alive.insert(container.id);
  auto known = processes_.find(container.id);
  if (known == processes_.end()) {
    auto status = co_await parts_.runtime.container_status(container.id);
    if (!status) co_return status.error().is("NotFound") ? Result<void>{} : Result<void>(status.error());
    if (status->pid == 0) co_return Result<void>{};  // it has just ended
    known = processes_.insert_or_assign(container.id, Process{status->pid, status->started_at_ns, status->log_path}).first;
  }
  const auto pod = std::find_if(plan.pods.begin(), plan.pods.end(), [&](const auto& one) { return one.second.sandbox_id == container.sandbox_id; });
  if (pod == plan.pods.end()) co_return Result<void>{};
  ContainerSummary summary;
  summary.name = container.name;
  summary.started_at_ns = known->second.started_at_ns;
  pod->second.summary.containers.push_back(std::move(summary));
  pod->second.processes.push_back(known->second);
  pod->second.ids.push_back(container.id);
  co_return Result<void>{};
}

Task<> SummarySource::look_at_sandboxes(std::vector<engine::Sandbox> sandboxes, Plan& plan) {
  for (const auto& sandbox : sandboxes) {
    if (sandbox.state != engine::SandboxState::ready) continue;
    plan.alive.insert(sandbox.id);
    auto known = processes_.find(sandbox.id);
    if (known == processes_.end()) {
      auto status = co_await parts_.runtime.pod_sandbox_status(sandbox.id);
      if (!status || status->state != engine::SandboxState::ready) continue;
      const bool is_own = status->network == engine::SandboxNetwork::own;
      known = processes_.insert_or_assign(sandbox.id, Process{is_own ? status->pid : 0, sandbox.created_at_ns, {}}).first;
    }
    auto& pod = plan.pods[sandbox.uid];
    pod.summary.name = sandbox.name;
    pod.summary.name_space = sandbox.namespace_name;
    pod.summary.uid = sandbox.uid;
    pod.summary.started_at_us = sandbox.created_at_ns / 1000;
    pod.network_pid = known->second.pid;
    pod.sandbox_id = sandbox.id;
  }
}

void SummarySource::describe_pods(Plan& plan) const {
  for (const auto& document : parts_.list_pods()) {
    const core_v1::Pod pod = pod_view(document);
    auto it = plan.pods.find(std::string(pod.metadata().uid()));
    if (it == plan.pods.end()) continue;
    it->second.cgroup = parts_.runtime.pod_cgroup_path(pod_cgroup(parts_.options.cgroup_root, pod));
    if (is_host_network(pod)) it->second.network_pid = 0;
    if (pod.status().has_startTime()) it->second.summary.started_at_us = pod.status().startTime();
  }
}

Task<Result<SummarySource::Plan>> SummarySource::plan() {
  Plan out;
  out.summary.node_name = parts_.options.node_name;
  out.pods_cgroup = parts_.runtime.pod_cgroup_path(kubepods_cgroup(parts_.options.cgroup_root));
  auto sandboxes = co_await parts_.runtime.list_pod_sandboxes({});
  if (!sandboxes) co_return sandboxes.error();
  co_await look_at_sandboxes(*std::move(sandboxes), out);
  auto containers = co_await parts_.runtime.list_containers({});
  if (!containers) co_return containers.error();
  for (auto& container : *containers) {
    if (container.state != engine::ContainerState::running) continue;
    auto added = co_await add_container(std::move(container), out);
    if (!added) co_return added.error();
  }
  describe_pods(out);
  co_return out;
}

void SummarySource::read_all(const Parts& parts, Plan& plan) {
  const UsageReader& reader = parts.reader;
  Summary& summary = plan.summary;
  summary.node.usage = reader.machine();
  summary.time_ns = summary.node.usage.time_ns;
  summary.booted_at_s = reader.boot_time_s();
  summary.file_system = file_system(parts.options.root_dir);
  const MachineLoad load = read_load(parts.options.root_dir);
  summary.pids = load.pids;
  summary.pids_most = load.pids_most;
  if (Usage all = reader.group(plan.pods_cgroup); all.cpu_ns || all.memory_bytes) summary.pods_group = Consumption{all, {}};
  const auto read_own = [&]() -> Result<std::vector<InterfaceUsage>> { return reader.interfaces(0); };
  Result<std::vector<InterfaceUsage>> own = Status{};
  if (parts.options.netns_path.empty()) {
    own = read_own();
  } else if (auto node = network::NetworkNamespace::open(parts.options.netns_path)) {
    own = network::inside(*node, read_own);
  }
  if (own) summary.interfaces = *std::move(own);
  for (auto& [uid, pod] : plan.pods) {
    if (!pod.cgroup.empty()) pod.summary.consumption.usage = reader.group(pod.cgroup);
    if (pod.network_pid) {
      pod.summary.interfaces = reader.interfaces(pod.network_pid);
      pod.summary.network_time_ns = summary.time_ns;
    }
    for (std::size_t i = 0; i < pod.processes.size(); ++i) {
      ContainerSummary& container = pod.summary.containers[i];
      container.consumption.usage = reader.process_group(pod.processes[i].pid);
      container.rootfs = file_system("/proc/" + std::to_string(pod.processes[i].pid) + "/root");
      container.logs = file_system(parts.options.log_dir);
      std::error_code ec;
      if (const auto size = std::filesystem::file_size(pod.processes[i].log_path, ec); !ec && container.logs) container.logs->used_bytes = size;
    }
  }
}

void SummarySource::rate(const std::string& key, Consumption& consumption) {
  if (!consumption.usage.cpu_ns) return;
  auto [it, is_new] = looked_.try_emplace(key, Looked{consumption.usage.time_ns, *consumption.usage.cpu_ns, {}});
  Looked& before = it->second;
  const std::int64_t passed = consumption.usage.time_ns - before.time_ns;
  if (*consumption.usage.cpu_ns < before.cpu_ns) {
    before = {consumption.usage.time_ns, *consumption.usage.cpu_ns, {}};  // it was started anew
  } else if (passed >= kShortestRate_ns) {
    const double cores = static_cast<double>(*consumption.usage.cpu_ns - before.cpu_ns) / static_cast<double>(passed);
    before = {consumption.usage.time_ns, *consumption.usage.cpu_ns, static_cast<std::uint64_t>(cores * 1e9)};
  }
  consumption.cpu_nano_cores = before.nano_cores;
}

void SummarySource::forget(const Plan& plan) {
  std::erase_if(processes_, [&](const auto& one) { return !plan.alive.contains(one.first); });
  std::erase_if(looked_, [&](const auto& one) {
    return one.first != "node" && one.first != "pods" && !plan.alive.contains(one.first) && !plan.pods.contains(one.first);
  });
}

Task<Result<Summary>> SummarySource::collect() {
  auto planned = co_await plan();
  if (!planned) co_return planned.error();
  auto shared = std::make_shared<Plan>(*std::move(planned));
  auto work = [parts = parts_, shared] { read_all(parts, *shared); };  // may outlive this
  co_await parts_.files.run(work);
  Plan& done = *shared;
  forget(done);
  rate("node", done.summary.node);
  if (done.summary.pods_group) rate("pods", *done.summary.pods_group);
  for (auto& [uid, pod] : done.pods) {
    rate(uid, pod.summary.consumption);
    for (std::size_t i = 0; i < pod.ids.size(); ++i) rate(pod.ids[i], pod.summary.containers[i].consumption);
    done.summary.pods.push_back(std::move(pod.summary));
  }
  co_return std::move(done.summary);
}

}  // namespace rusternetes::kubelet
