#pragma once
// The cluster's name server where it is no Pod: listening on a node's own address, under the Service
// kube-system/kube-dns. Users' policies allow it as the Pods that it is elsewhere, those labelled
// k8s-app=kube-dns in kube-system, and by the ports of the Service.

#include <map>
#include <string>
#include <vector>

#include "kube-proxy/network_policy/policy.h"

namespace rusternetes::kube_proxy::network_policy {

constexpr const char* kNameServerNamespace = "kube-system";
constexpr const char* kNameServerService = "kube-system/kube-dns";

struct NameServers {
  struct Port {
    std::string name;
    Protocol protocol{};
    std::uint16_t service_port = 0;  // what policies call it, beside `port`
    IpAddress address;
    std::uint16_t port = 0;
    auto operator<=>(const Port&) const = default;
  };
  std::vector<Port> ports;  // sorted
  std::map<std::string, std::string> namespace_labels;
  bool operator==(const NameServers&) const = default;
};

// Endpoints that are Pods are left to their own labels. `name_space` is kube-system; all may be empty.
NameServers read_name_servers(const Document& service, const std::vector<Document>& slices,
                              const Document& name_space);

// Whether a selection has the name servers' Pods, if they were Pods.
bool selects_name_servers(const PodSelection& selection, const NameServers& servers);

}  // namespace rusternetes::kube_proxy::network_policy
