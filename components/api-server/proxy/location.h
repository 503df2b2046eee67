#pragma once
// Where a connect subresource leads (pkg/registry/core/{pod,service,node} ResourceLocation and streamLocation): functions of
// the objects, in the words that kube-apiserver refuses with.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"
#include "base/status.h"

namespace rusternetes::api_server {

struct Location {
  bool is_tls = false;
  bool is_kubelet = false;  // spoken to with the client certificate for kubelets, and verified
  std::string host;         // an address, without brackets
  std::string port;         // a number; what is none is refused when it is connected to
  // "10.0.0.1:80", "[fd00::1]:80".
  std::string authority() const;
  // The same with the port left away when it was not named: how links to it look.
  std::string link_host;
};

// "web", "web:80", "https:web:port", as a proxy's name.
struct SchemeNamePort {
  std::string scheme, name, port;
};
std::optional<SchemeNamePort> split_scheme_name_port(std::string_view id);

// A unicast address that is neither loopback, link-local nor unspecified, in its canonical form; nothing for others. Only that
// form is connected to: what was checked and what is reached must not be two readings of one text ("0177.0.0.1").
std::optional<std::string> proxyable_address(std::string_view address);

// The container that is meant: the named one, else the only one. BadRequest otherwise.
Result<std::string> choose_container(const apimachinery::core_v1::Pod& pod, std::string_view wanted);

// The kubelet of a node: its InternalIP, else its ExternalIP.
Result<Location> kubelet_location(const apimachinery::core_v1::Node& node);

// Of pods/proxy: the named port, else the first that a container has, else the scheme's.
Result<Location> pod_location(const SchemeNamePort& asked, const apimachinery::core_v1::Pod& pod);
// Of nodes/proxy.
Result<Location> node_location(const SchemeNamePort& asked, const apimachinery::core_v1::Node& node);

bool is_port_number(std::string_view port);
// The name of the Service's port that is asked for: a number is looked up in the Service.
Result<std::string> service_port_name(const SchemeNamePort& asked, const apimachinery::core_v1::Service& service);
// Of services/proxy: an address of the Endpoints that is a Pod's in the namespace. `seed` chooses among them; `find_pod` gives
// an empty document for what is not there.
Result<Location> service_location(const SchemeNamePort& asked, std::string_view id, std::string_view port_name,
                                  std::string_view name_space, const apimachinery::core_v1::Endpoints& endpoints, std::uint32_t seed,
                                  const std::function<apimachinery::Document(std::string_view name)>& find_pod);

}  // namespace rusternetes::api_server
