#pragma once
// Source translation for what leaves a cluster, so that the world beyond the host answers: in the node for
// its Pods, then on the host for the node. Translation of Services is kube-proxy's.

#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

// A packet is masqueraded if all of this holds; an empty list holds always, but `sources` may not be empty.
struct Masquerade {
  std::string cluster;
  std::vector<IpPrefix> sources;              // the Pod CIDR; on the host the nodes' addresses as well
  std::vector<IpPrefix> except_destinations;  // Pods, nodes, the host's end: they see real sources
  std::vector<std::string>
      from_interfaces;  // came in by one of these: on the host, exactly the cluster's links
  std::vector<std::string> except_to_interfaces;  // leaves by none of these
  // What is forwarded to one of these keeps its source, also where others (an engine, another cluster) would
  // put the address of the link in its place: who has that address counts as the host.
  std::vector<std::string> keep_source_to;
};

// Replaces the cluster's masquerade in the namespace in one transaction; connections keep their translation.
Result<> load_masquerade(const NetworkNamespace& where, const Masquerade& wanted);
// Whether the table is there with a rule for each of `sources` and `keep_source_to`.
Result<bool> has_masquerade(const NetworkNamespace& where, const Masquerade& wanted);
// Whether it is there with any rule.
Result<bool> has_masquerade(const NetworkNamespace& where, std::string_view cluster);
Result<> remove_masquerade(const NetworkNamespace& where, std::string_view cluster);  // absent is success

}  // namespace rusternetes::network
