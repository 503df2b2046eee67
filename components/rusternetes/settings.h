#pragma once
// What a cluster started by hand keeps beside its data: its name, its node's and its ranges, chosen at the
// first start so that they clash with nothing on the host, and the same ever after.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "rusternetes/options.h"

namespace rusternetes {

struct ClusterSettings {
  std::string cluster_name, node_name;
  std::string pod_cidr, service_cluster_ip_range;
  std::string node_address, host_address;  // with a node of its own
  bool operator==(const ClusterSettings&) const = default;
};

std::string to_json(const ClusterSettings& settings);
Result<ClusterSettings> settings_from_json(std::string_view text);

// What the host says.
struct HostFacts {
  std::string host_name;
  std::string address;                         // of its uplink; empty without one
  std::vector<network::IpPrefix> used_ranges;  // by its routes and links
};

// Flags first, then what was kept, then a free choice. Refuses a flag that contradicts what was kept, as the
// data are full of it, and a range that the host uses. Pure.
Result<ClusterSettings> choose_settings(const ProcessOptions& flags,
                                        const std::optional<ClusterSettings>& kept, const HostFacts& host);

// The right to be the process of a cluster on this host, until destroyed. It ends with the process, however
// that ends.
class ClusterClaim {
 public:
  // AlreadyExists when another process has it.
  static Result<std::unique_ptr<ClusterClaim>> take(const std::string& cluster);
  ~ClusterClaim();

 private:
  explicit ClusterClaim(int fd) : fd_(fd) {}
  int fd_;
};

// Fills in what `options` leaves open; by hand from DATA_DIR/cluster.json, which it writes. The folder exists
// and is ours alone. A claim of the cluster's name comes back, since links, rules and containers carry it.
Result<std::unique_ptr<ClusterClaim>> settle(ProcessOptions& options, const network::NetworkNamespace& host);

}  // namespace rusternetes
