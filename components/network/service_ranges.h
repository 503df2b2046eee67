#pragma once
// Service ranges that come and go while a cluster runs (ServiceCIDRs of the API), beside those it was made
// with: first what is left untranslated is dropped in node and host (invariant 14), then the host's route
// leads there; at the end the other way round.

#include <functional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "network/netlink.h"
#include "network/node_link.h"

namespace rusternetes::network {

// Whether a cluster may have the range. AlreadyExists: the host would lose what it uses, its own network or
// other clusters'; BadRequest: it is the cluster's Pods', or no range for services at all (loopback,
// multicast, larger than a /8). Ranges that are routed over the cluster's link already are free.
Result<> check_service_range(const NetworkNamespace& host, const NodeLink& link, const IpPrefix& range);

// The two parts of it. BadRequest: see above.
Result<> check_range_kind(const std::vector<IpPrefix>& pod_ranges, const IpPrefix& range);
// AlreadyExists: the host uses it by a route that is not the cluster's own. `whose` host, for the message:
// "node n1".
Result<> check_range_unused(Netlink& host, std::string_view whose, const IpPrefix& range,
                            const std::function<bool(const Route&)>& is_own);

// Adds to what stands; repeats without harm. The link must be there (connect_node), unless the node is the
// host itself: then there are no routes. A range of a family that the link has no addresses of is dropped and
// not routed.
Result<> add_service_ranges(const NetworkNamespace& host, const NetworkNamespace& node, const NodeLink& link,
                            const std::vector<IpPrefix>& ranges);

// Takes away every range but `link.service_ranges` and `wanted`. What is missing of those is not added.
Result<> retain_service_ranges(const NetworkNamespace& host, const NetworkNamespace& node,
                               const NodeLink& link, const std::vector<IpPrefix>& wanted);

}  // namespace rusternetes::network
