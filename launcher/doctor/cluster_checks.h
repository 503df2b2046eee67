#pragma once
// What `doctor` finds about one cluster.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "launcher/component_health.h"
#include "launcher/doctor/finding.h"
#include "launcher/schedule/look.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher::doctor {

// A port of the host's that belongs to the cluster.
struct PortFacts {
  std::uint16_t port = 0;
  std::string holder;  // "nginx (pid 7)"; empty: nobody listens
};

struct ClusterFacts {
  std::string name;
  std::string phase;  // "running", "stopped", or what an interrupted command left
  std::string server;
  std::string process_error;  // why process or components could not be looked at
  bool is_running = false;    // of components: some
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
  std::optional<ScheduleLook> schedule;    // of snapshots; none: there is none
  std::vector<std::string> missing_rules;  // of the host's; asked for only while it runs
  std::string rules_error;
  // Of a cluster of containers.
  std::size_t components = 0;
  std::vector<ComponentProblem> problems;
  std::vector<std::string> missing_images;  // references that the engine has lost
  std::string images_error;
  std::vector<PortFacts> ports;
  std::string kubeconfig;  // the user's file
  bool has_context = false;
};

// Asks process or components, api-server, engine and host, and reads the cluster's folder. Takes at most two
// seconds.
ClusterFacts read_cluster(StepContext& context, std::string phase);

Findings check_cluster(const ClusterFacts& facts, SystemTime now);

}  // namespace rusternetes::launcher::doctor
