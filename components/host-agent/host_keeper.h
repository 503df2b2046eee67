#pragma once
// Brings the host to what a cluster wants of it: looks at everything, and changes only what is missing or
// wrong. Blocks; one thread's at a time.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "host-agent/plan.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/nft_state.h"
#include "network/rule_table.h"

namespace rusternetes::host_agent {

class HostKeeper {
 public:
  static Result<HostKeeper> open(const network::NetworkNamespace& host, HostAgentOptions options);

  struct Report {
    std::string bridge;                  // empty: it is not there yet
    std::vector<std::string> changed;    // what was put there, or put right
    std::vector<Problem> failures;       // what does not stand, and why
    std::vector<IpAddress> entries;      // as they are now
    std::vector<IpAddress> forward_to;   // where sockets lead, the entries first
    std::vector<Problem> nodes, ranges;  // what Nodes and ServiceCIDRs ask for and do not get
    std::vector<IpPrefix> guarded;       // service ranges of which the drop rule stands
    bool is_whole() const { return failures.empty(); }
  };
  // What the API has not said yet is left as it stands. The drop rule of a service range stands before any
  // route leads there, and longer than it.
  Report keep(const ClusterState& state);

 private:
  HostKeeper(network::NetworkNamespace host, HostAgentOptions options, network::NftState rules);
  class Look;
  // Everything that the rules are made of.
  struct RuleInputs {
    std::string bridge;
    std::vector<IpPrefix> dropped;
    std::vector<IpAddress> entries;
    bool knows_nodes = false;
    bool operator==(const RuleInputs&) const = default;
  };

  network::NetworkNamespace host_;
  HostAgentOptions options_;
  network::NftState rules_;
  std::optional<std::set<IpPrefix>> accepted_;        // ranges of ServiceCIDRs that are dropped and routed
  std::set<IpPrefix> leaving_;                        // that are dropped still
  std::map<std::string, network::RuleTable> loaded_;  // by name
  // The kernel's count of changes when all rules stood for these inputs: as long as it is the same, they do.
  std::optional<std::pair<std::uint32_t, RuleInputs>> settled_;
};

}  // namespace rusternetes::host_agent
