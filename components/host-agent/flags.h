#pragma once
// The program's own flags, checked and turned into options.

#include <string>
#include <vector>

#include "base/status.h"
#include "host-agent/plan.h"

namespace rusternetes::host_agent {

struct Flags {
  std::string cluster_name = "rusternetes";
  std::string bridge;
  std::vector<std::string> network_cidrs, gateways, cluster_cidrs, service_ranges, publish;
  std::string service_cidr_condition;
};

// An error is one sentence that names the flag.
Result<HostAgentOptions> options_of(const Flags& flags);
// Of --cluster-name alone: what --cleanup needs.
Result<> check_cluster_name(const Flags& flags);

}  // namespace rusternetes::host_agent
