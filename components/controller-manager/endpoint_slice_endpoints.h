#pragma once
// The endpoints and ports that Pods give a Service, and the labels of its slices, as values of
// EndpointSlices.

#include <map>
#include <string>
#include <vector>

#include "apimachinery/api/discovery_v1.h"
#include "controller-manager/endpoint_slice_services.h"

namespace rusternetes::controller_manager {

// What shares one list of ports, and so one series of slices. The values point into the arena and into the
// documents.
struct PortGroup {
  std::string key;                             // of the ports, see port_key()
  std::vector<apimachinery::Value> ports;      // EndpointPort, in canonical order
  std::vector<apimachinery::Value> endpoints;  // Endpoint, each once
};

// Puts the ports into canonical order and tells them apart from others.
std::string port_key(std::vector<apimachinery::Value>& ports);
// What makes two endpoints the same one, whatever its conditions: addresses, hostname and target.
std::string endpoint_key(const apimachinery::discovery_v1::Endpoint& endpoint);
// Whether the rest is the same too, but for hints, which are given later.
bool is_same_endpoint(const apimachinery::discovery_v1::Endpoint& a,
                      const apimachinery::discovery_v1::Endpoint& b);

struct DesiredEndpoints {
  std::vector<PortGroup> groups;
  // Pods that are left out because their node is not known.
  struct Homeless {
    std::string pod, node;
  };
  std::vector<Homeless> homeless;
};
// `node` gives an empty document for one that is not there.
DesiredEndpoints desired_endpoints(apimachinery::Arena& arena, const apimachinery::core_v1::Service& service,
                                   const std::vector<Document>& pods,
                                   const std::function<Document(std::string_view name)>& node, bool is_v6);

// "IPv4" and "IPv6", those that the Service has.
std::vector<std::string_view> address_types_of(const apimachinery::core_v1::Service& service);
// The labels that every slice of the Service has.
apimachinery::Value slice_labels(apimachinery::Arena& arena, const apimachinery::core_v1::Service& service);
// For generateName: the name with a dash, where that is still a name.
std::string slice_prefix(std::string_view name);

inline constexpr std::string_view service_name_label = "kubernetes.io/service-name",
                                  slice_managed_by_label = "endpointslice.kubernetes.io/managed-by",
                                  slice_controller = "endpointslice-controller.k8s.io",
                                  mirroring_controller = "endpointslicemirroring-controller.k8s.io";

// The key of the Service that a slice is for; empty when it names none.
std::string service_key_of(const Document& slice);
std::string_view manager_of(const Document& slice);

}  // namespace rusternetes::controller_manager
