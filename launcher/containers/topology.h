#pragma once
// What a cluster of containers is made of. Plain functions of its settings.

#include <string>
#include <string_view>
#include <vector>

#include "certs/pki.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {

// One container.
struct Member {
  std::string key;        // of its service in the manifest: "api-server", "api-server-2", "kubelet-1"
  std::string component;  // what runs in it: "api-server", "kubelet"; "node" for what holds a node's network
  std::string address;    // on the cluster's network; empty in another's or the host's network
  std::string node;       // of "node", "kube-proxy" and "kubelet": the node's name
  std::string leaf;       // of a store's member or an api-server: what its certificates end in, "1"
};

// In the order in which they are started when nothing else holds them: stores first, nodes last.
std::vector<Member> members_of(const ClusterSettings& settings);
// Of one component, such as "api-server".
std::vector<Member> members_of(const ClusterSettings& settings, std::string_view component);
// Every component, in the order of members_of().
std::vector<std::string> components_of(const ClusterSettings& settings);

// "rhino" and "etcd".
bool is_store(std::string_view component);

// "rusternetes-CLUSTER-KEY"; also what the engine calls the network, with the key "network".
std::string container_name(const ClusterSettings& settings, std::string_view key);

// One node more: of the lowest number that is free.
NodeSettings next_node(const ClusterSettings& settings);
// How many nodes the cluster's network has addresses for.
std::size_t most_nodes();
// The host's address on the network.
std::string gateway_of(const ClusterSettings& settings);

// The address of the Service kube-dns.
std::string dns_service_address(const ClusterSettings& settings);

// "https://ADDRESS:PORT" of every api-server as components reach them.
std::vector<std::string> api_server_urls(const ClusterSettings& settings);
std::vector<std::string> store_urls(const ClusterSettings& settings);

// What the certificates have to be good for.
Result<certs::PkiOptions> container_pki(const ClusterSettings& settings);

}  // namespace rusternetes::launcher
