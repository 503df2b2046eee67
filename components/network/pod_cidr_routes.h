#pragma once
// A node's routes to the Pods of the other nodes.

#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

struct PodCidrRoute {
  IpPrefix destination;  // another node's Pod CIDR
  IpAddress gateway;     // that node's address, or the host's where the node is behind it
  auto operator<=>(const PodCidrRoute&) const = default;
};

// Makes the routes inside `pod_ranges` (the cluster's whole Pod ranges) exactly `wanted`: adds and replaces,
// and deletes those of ours that no node has any more. Routes of others, and ours outside the ranges, are not
// touched. A route that cannot be set does not keep the rest from being set; the first failure is returned.
Result<> sync_pod_cidr_routes(const NetworkNamespace& node, const std::vector<IpPrefix>& pod_ranges,
                              const std::vector<PodCidrRoute>& wanted);

}  // namespace rusternetes::network
