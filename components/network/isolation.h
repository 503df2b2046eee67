#pragma once
// On a host with several clusters: what comes in by another cluster's link does not go out by this one's (invariant 13),
// though the host has routes to both. Ports that a cluster publishes are for all, others' Pods included.

#include <string_view>

#include "base/status.h"
#include "network/namespace.h"
#include "network/rule_table.h"

namespace rusternetes::network {

// `links`: the cluster's own (names.h). Others' are told by how their names begin, or by their group
// (cluster_bridge.h).
RuleTable isolation_of(std::string_view cluster, std::string_view links);

// Of a cluster whose links have its names. Replaces the rules in one transaction.
Result<> load_isolation(const NetworkNamespace& host, std::string_view cluster);
Result<bool> has_isolation(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
