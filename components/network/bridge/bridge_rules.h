#pragma once
// What must hold of packets that the host sends into a cluster's bridge:
// - They keep their source. Nodes tell by it who the host is, policies who the client is. An engine would put
// the bridge's
//   address on what comes from its network's range and goes elsewhere: from a node to a Pod of another node
//   (bridged packets pass these hooks, too, where bridge-nf-call-iptables is on), from an api-server to a
//   Pod.
// - Nobody is told of another way (ICMP redirects): it would be remembered when that node has gone.

#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/rule_table.h"

namespace rusternetes::network {

struct BridgeRules {
  std::string cluster;
  std::string bridge;             // its name
  std::vector<IpPrefix> sources;  // the network's range and the Pods'
};

// What goes on to the outside is left to the engine, as are ports that it publishes and that are used from
// within the network.
RuleTable bridge_table(const BridgeRules& wanted);

}  // namespace rusternetes::network
