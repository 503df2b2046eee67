#pragma once
// Which endpoints of a Service's port a node sends to: readiness, terminating ones when nothing else is left,
// traffic policies, and hints (KEP-1669, KEP-2086, KEP-2433, KEP-3015).

#include <cstdint>
#include <string>
#include <vector>

#include "apimachinery/document.h"
#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy {

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  bool is_local = false;      // on this node
  bool may_be_local = false;  // or no node is named
  bool is_ready = false;
  bool is_serving = false;
  bool is_terminating = false;
  std::vector<std::string> zones, nodes;  // for whom it is meant; empty: for all
};

// What a node knows of itself.
struct NodeFacts {
  std::string name;
  std::string zone;  // topology.kubernetes.io/zone
  std::vector<IpAddress> addresses;
  bool operator==(const NodeFacts&) const = default;
};

// Those of a family under a port's name, each address and port once, sorted. Slices that name addresses by
// FQDN, and ports without number, have none.
std::vector<Endpoint> endpoints_of(const std::vector<apimachinery::Document>& slices, Family family,
                                   std::string_view port_name, Protocol protocol, const NodeFacts& node);

struct ChosenEndpoints {
  std::vector<const Endpoint*> cluster;  // under policy Cluster
  std::vector<const Endpoint*> local;    // under policy Local
  std::vector<const Endpoint*> all;      // the two together, each once
  bool has_any = false;                  // usable from some node
};
// Pointers into `endpoints`.
ChosenEndpoints choose_endpoints(const std::vector<Endpoint>& endpoints, bool uses_cluster, bool uses_local,
                                 const NodeFacts& node);

}  // namespace rusternetes::kube_proxy
