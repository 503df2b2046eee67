#pragma once
// /stats/summary (k8s.io/kubelet stats/v1alpha1): what the node, its Pods and their containers use.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/worker.h"
#include "engine/runtime.h"
#include "kubelet/options.h"
#include "kubelet/pod/pod.h"
#include "kubelet/server/stats.h"

namespace rusternetes::kubelet {

// A thing that uses processor time: with the rate since it was looked at before.
struct Consumption {
  Usage usage;
  std::optional<std::uint64_t> cpu_nano_cores;
};

struct ContainerSummary {
  std::string name;
  std::int64_t started_at_ns = 0;
  Consumption consumption;
  std::optional<FileSystemUsage> rootfs, logs;
};

struct PodSummary {
  std::string name, name_space, uid;
  std::int64_t started_at_us = 0;
  Consumption consumption;
  std::optional<std::vector<InterfaceUsage>> interfaces;  // absent with the node's network
  std::int64_t network_time_ns = 0;
  std::vector<ContainerSummary> containers;
};

struct Summary {
  std::string node_name;
  std::int64_t booted_at_s = 0;
  Consumption node;
  std::vector<InterfaceUsage> interfaces;
  std::optional<FileSystemUsage> file_system;
  std::int64_t pids = 0, pids_most = 0;
  std::optional<Consumption> pods_group;  // all Pods together
  std::vector<PodSummary> pods;
  std::int64_t time_ns = 0;
};

class SummarySource {
 public:
  struct Parts {
    const KubeletOptions& options;
    engine::Runtime& runtime;
    WorkerThread& files;
    std::function<std::vector<Document>()> list_pods;
    UsageReader reader;
  };
  explicit SummarySource(Parts parts) : parts_(std::move(parts)) {}
  // From the runtime's executor.
  Task<Result<Summary>> collect();

 private:
  // What does not change while a container runs.
  struct Process {
    int pid = 0;
    std::int64_t started_at_ns = 0;
    std::string log_path;
  };
  struct Looked {
    std::int64_t time_ns = 0;
    std::uint64_t cpu_ns = 0;
    std::optional<std::uint64_t> nano_cores;
  };
  struct Plan;

  Task<Result<Plan>> plan();
  Task<Result<void>> add_container(engine::Container container, Plan& plan);
  Task<> look_at_sandboxes(std::vector<engine::Sandbox> sandboxes, Plan& plan);
  void describe_pods(Plan& plan) const;
  static void read_all(const Parts& parts, Plan& plan);
  void rate(const std::string& key, Consumption& consumption);
  void forget(const Plan& plan);

  Parts parts_;
  std::map<std::string, Process> processes_;  // by container or sandbox id
  std::map<std::string, Looked> looked_;      // by what it is
};

// `only_cpu_and_memory` as the query says.
std::string summary_json(const Summary& summary, bool only_cpu_and_memory);

}  // namespace rusternetes::kubelet
