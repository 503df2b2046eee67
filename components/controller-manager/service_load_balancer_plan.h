#pragma once
// Which Services of type LoadBalancer answer on the nodes' own addresses: a port of a node serves one Service.

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

using NodePortKey = std::pair<std::string, int>;  // protocol and port

// Of type LoadBalancer, without a class of its own (that one's implementation serves it) and not on its way out.
bool wants_node_balancer(const apimachinery::core_v1::Service& service);

// Nodes that are ready and not excluded by node.kubernetes.io/exclude-from-external-load-balancers: their internal addresses,
// sorted.
std::vector<std::string> balancer_addresses(const std::vector<apimachinery::Document>& nodes);

// The ports that it wants of a node.
std::set<NodePortKey> balancer_ports(const apimachinery::core_v1::Service& service);

struct TakenPort {
  NodePortKey port;
  std::string by;  // "default/web", or "the node" for a reserved one
};
// What the Service wants and does not get. `all` are those that the nodes serve; of several that want one port the oldest has it.
std::vector<TakenPort> taken_ports(const apimachinery::Document& service, const std::vector<apimachinery::Document>& all,
                                   const std::set<NodePortKey>& reserved);

// The addresses of the Service's families, those of its first one first.
std::vector<std::string> addresses_for(const apimachinery::core_v1::Service& service, const std::vector<std::string>& addresses);

// Who writes status.loadBalancer here, as metadata.managedFields has it.
inline constexpr const char* balancer_manager = "service-lb-controller";

// Somebody else has given it an address: it is none of a node that is there, and it was not written by this manager (whose
// nodes may have gone, or have other addresses by now).
bool is_served_by_others(const apimachinery::core_v1::Service& service, const std::vector<std::string>& node_addresses);

}  // namespace rusternetes::controller_manager
