#pragma once
// Which UDP flows have lost their endpoint: a decision without I/O.

#include <map>
#include <vector>

#include "kube-proxy/service_rules.h"
#include "network/conntrack.h"

namespace rusternetes::kube_proxy {

// UDP ports of Services that changed in a way that may leave flows behind.
class StaleFlows {
 public:
  // `before` and `now` are of one Service. What has gone altogether leaves its flows without any endpoint, as
  // does an address or node port that it has no more; one that it has gained has flows of before, which its
  // client's own packets keep alive and which go elsewhere.
  void add(const std::vector<UdpService>& before, const std::vector<UdpService>& now);
  // All flows of a Service are looked at: nothing is known of what was before.
  void add_all(const std::vector<UdpService>& now);
  bool is_empty(Family family) const;  // nothing is stale
  // True for a flow to one of the Services that goes to none of its endpoints. `node_addresses`: all of the
  // node's own, which are what a NodePort answers on.
  bool is_stale(const network::Flow& flow, const std::vector<IpAddress>& node_addresses) const;

 private:
  void lose(const UdpService& all, const UdpService* but);
  std::map<AddressPort, std::set<AddressPort>> addresses_;
  std::map<std::pair<Family, std::uint16_t>, std::set<AddressPort>> node_ports_;
};

}  // namespace rusternetes::kube_proxy
