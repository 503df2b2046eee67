#pragma once
// What `doctor` finds about one cluster.

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "launcher/doctor/finding.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher::doctor {

struct ClusterFacts {
  std::string name;
  std::string phase;  // "running", "stopped", or what an interrupted command left
  std::string server;
  std::string process_error;  // why the process could not be looked at
  bool is_running = false;
  int pid = 0;
  long restarts = 0;
  std::string last_exit;
  std::string silence;  // why the api-server is not ready; empty: it is. Asked for only while it runs.
  bool does_engine_answer = false;
  std::string engine;  // "podman at /run/…"
  std::string certificates_error;
  std::string first_to_expire;  // "apiserver.crt"
  SystemTime expires_at;
  std::uint64_t store_bytes = 0;
  std::string kubeconfig;  // the user's file
  bool has_context = false;
};

// Asks process, api-server and engine, and reads the cluster's folder. Takes at most a second and a half.
ClusterFacts read_cluster(StepContext& context, std::string phase);

Findings check_cluster(const ClusterFacts& facts, SystemTime now);

}  // namespace rusternetes::launcher::doctor
