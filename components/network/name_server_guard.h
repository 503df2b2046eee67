#pragma once
// Where the host is the node, the name server is on an address that others reach, too. It is for the cluster's Pods and the
// host itself: it tells the cluster's names, and asks the host's own servers for whoever asks it.

#include <cstdint>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

struct NameServerGuard {
  std::string cluster;
  std::vector<IpAddress> addresses;
  std::uint16_t port = 0;
};

// Replaces the rules in one transaction. The table goes with the cluster's others (remove_host_translations()).
Result<> load_name_server_guard(const NetworkNamespace& host, const NameServerGuard& wanted);
Result<bool> has_name_server_guard(const NetworkNamespace& host, const std::string& cluster);

}  // namespace rusternetes::network
