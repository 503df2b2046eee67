#pragma once
// What a cluster of ours holds beside what every cluster does.

#include <string>
#include <vector>

#include "api-server/instance.h"
#include "base/status.h"
#include "rusternetes/options.h"

namespace rusternetes {

// Where Pods ask for names: the tenth address of the service range, as kubeadm has it; in a smaller range its last.
Result<std::string> dns_service_address(const ProcessOptions& options);

// What kube-proxy's part for NetworkPolicies may read, as kube-system/network-policy.
std::vector<api_server::InstanceOptions::Addon> network_policy_addon();

// The Service kube-system/kube-dns under that address, and the slice that leads it to the server at `port` of the node's
// address, which listens for UDP and TCP.
Result<std::vector<api_server::InstanceOptions::Addon>> dns_addon(const ProcessOptions& options, std::uint16_t port);

}  // namespace rusternetes
