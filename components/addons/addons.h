#pragma once
// What a cluster of ours holds beside what every cluster does. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "addons/object.h"
#include "base/status.h"

namespace rusternetes::addons {

struct DnsOptions {
  std::string service_cluster_ip_range;  // "A,B"; the first gives the Service its address
  std::vector<std::string>
      server_addresses;  // where name servers listen, for UDP and TCP; of that range's family
  std::uint16_t port = 53;
  std::string node_name;  // of all of them; empty: they are on no node
};

// Where Pods ask for names: the tenth address of the first service range, as kubeadm has it; in a smaller
// range its last.
Result<std::string> dns_service_address(std::string_view service_cluster_ip_range);

// The Service kube-system/kube-dns under that address, the slice that leads it to the servers, and what the
// servers may read, as User system:coredns or ServiceAccount kube-system/coredns.
Result<std::vector<Object>> dns(const DnsOptions& options);

// What kube-proxy's part for NetworkPolicies may read, as User system:network-policy or ServiceAccount
// kube-system/network-policy.
std::vector<Object> network_policy();

// What programs may do that only clusters of containers have: the User system:host-agent, which keeps the
// host's rules and routes, and system:node-routes, as whom a kubelet reads other nodes for the routes to
// them.
std::vector<Object> container_programs();

// Client certificates of kubeadm's group kubeadm:cluster-admins may do everything.
Object cluster_admins();

// All of them: what a cluster of containers is given.
Result<std::vector<Object>> container_cluster(const DnsOptions& options);

}  // namespace rusternetes::addons
