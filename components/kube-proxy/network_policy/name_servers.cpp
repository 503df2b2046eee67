#include "kube-proxy/network_policy/name_servers.h"

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"

namespace rusternetes::kube_proxy::network_policy {

using namespace apimachinery;

namespace {

std::optional<Protocol> protocol_of(std::string_view text) {
  if (text.empty() || text == "TCP") return Protocol::tcp;
  if (text == "UDP") return Protocol::udp;
  return std::nullopt;
}

// The Service's port of the name: 53, wherever the server listens.
std::uint16_t service_port(const Document& service, std::string_view name, std::uint16_t otherwise) {
  if (!service) return otherwise;
  for (const auto port : core_v1::Service(&service.root()).spec().ports())
    if (port.name() == name) return static_cast<std::uint16_t>(port.port());
  return otherwise;
}

}  // namespace

NameServers read_name_servers(const Document& service, const std::vector<Document>& slices,
                              const Document& name_space) {
  NameServers out;
  if (name_space)
    for (const auto& [key, value] : core_v1::Namespace(&name_space.root()).metadata().labels())
      out.namespace_labels.emplace(key, value);
  for (const auto& document : slices) {
    const discovery_v1::EndpointSlice slice(&document.root());
    for (const auto endpoint : slice.endpoints()) {
      if (endpoint.targetRef().kind() == "Pod") continue;
      for (const auto text : endpoint.addresses()) {
        const auto address = IpAddress::parse(text);
        if (!address) continue;
        for (const auto port : slice.ports()) {
          const auto protocol = protocol_of(port.protocol());
          const auto number = static_cast<std::uint16_t>(port.port());
          if (!protocol || number == 0) continue;
          out.ports.push_back({std::string(port.name()), *protocol,
                               service_port(service, port.name(), number), *address, number});
        }
      }
    }
  }
  std::ranges::sort(out.ports);
  const auto doubled = std::ranges::unique(out.ports);
  out.ports.erase(doubled.begin(), doubled.end());
  return out;
}

bool selects_name_servers(const PodSelection& selection, const NameServers& servers) {
  if (selection.namespaces) {
    const bool is_there = selection.namespaces->matches([&](std::string_view key) {
      const auto found = servers.namespace_labels.find(std::string(key));
      return found == servers.namespace_labels.end() ? std::optional<std::string_view>()
                                                     : std::optional<std::string_view>(found->second);
    });
    if (!is_there) return false;
  } else if (selection.name_space != kNameServerNamespace) {
    return false;
  }
  return selection.pods.matches([](std::string_view key) {
    return key == "k8s-app" ? std::optional<std::string_view>("kube-dns") : std::nullopt;
  });
}

}  // namespace rusternetes::kube_proxy::network_policy
