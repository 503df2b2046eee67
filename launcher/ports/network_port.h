#pragma once
// What the launcher asks of the host's network. Calls block. `node_netns` is a path such as /proc/PID/ns/net;
// empty where the host itself is the node.

#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

struct NodeNetwork {
  std::string cluster;
  std::string node;
  std::string node_netns;
  std::vector<std::string> host_addresses;  // one a family, in the order of node_addresses
  std::vector<std::string> node_addresses;
  std::vector<std::string> pod_cidrs;
  std::vector<std::string> service_cidrs;
  std::vector<std::string> published_ports;  // "HOST:NODEPORT"
  std::string bridge;  // of a cluster of containers: services are reached by it
};

class NetworkPort {
 public:
  virtual ~NetworkPort() = default;
  // Blocks of addresses that the host has or routes, default routes left out.
  virtual Result<std::vector<std::string>> host_ranges() = 0;
  // What the bridge of the cluster's network is called; fits the kernel's 15 characters.
  virtual std::string bridge_name(const std::string& cluster) = 0;
  // Whether the host has rules or links of a cluster of this name, made from whichever home.
  virtual Result<bool> has_traces(const std::string& cluster) = 0;
  // The drop rule of the service ranges, in the host and in the node, loaded and read back. Any error: the
  // rule is not certain to stand.
  virtual Result<> load_drop_rules(const NodeNetwork& network) = 0;
  virtual Result<> check_drop_rules(const NodeNetwork& network) = 0;
  // What the host lacks of a cluster that runs, in words: "the drop rule of its services". Of a cluster of
  // containers also what its host-agent keeps there.
  virtual Result<std::vector<std::string>> missing_host_rules(const NodeNetwork& network) = 0;
  // The cluster's own tables, links and routes in the host's namespace, for people to read.
  virtual Result<std::string> describe(const std::string& cluster) = 0;
  // The wire between host and node with both sides' addresses and routes, and the host's translations for it.
  // Needs the drop rules.
  virtual Result<> link_node(const NodeNetwork& network) = 0;
  // Takes the wire off the host, and all rules but the drop rule. Absent: no error.
  virtual Result<> unlink_node(const NodeNetwork& network) = 0;
  // Every link, rule and table of the cluster in the host's namespace; those of the node end with its
  // namespace.
  virtual Result<> remove_all(const std::string& cluster) = 0;
};

}  // namespace rusternetes::launcher
