#pragma once
// The decision: one Service with its EndpointSlices, seen from one node, to rules. No I/O, no memory. Who
// wins where two Services claim the same address and port is RuleSet's.

#include <set>
#include <utility>
#include <vector>

#include "apimachinery/document.h"
#include "kube-proxy/endpoints.h"
#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy {

using AddressPort = std::pair<IpAddress, std::uint16_t>;

// A UDP port of a Service: which flows to it may go on. Others, as to an endpoint that went, would keep their
// translation for as long as the client goes on sending.
struct UdpService {
  std::set<AddressPort> addresses;
  std::uint16_t node_port = 0;  // 0: none
  Family family{};
  std::set<AddressPort> serving;  // endpoints, whatever policy or topology say
  bool operator==(const UdpService&) const = default;
};

struct ServiceRules {
  Rules rules;
  std::vector<UdpService> udp;
  std::uint16_t health_check_port = 0;  // spec.healthCheckNodePort where it is to be served, else 0
  int local_ready_addresses = 0;
  // Ports under policy Local that have endpoints, but none here.
  int internal_without_local = 0, external_without_local = 0;
};

struct Settings {
  Base base;
  NodeFacts node;
  bool operator==(const Settings&) const = default;
};

// False for what has no address of its own (headless, ExternalName) or belongs to another proxy
// (service.kubernetes.io/service-proxy-name, service.kubernetes.io/headless).
bool is_proxied(const apimachinery::Document& service);

ServiceRules decide(const apimachinery::Document& service, const std::vector<apimachinery::Document>& slices,
                    const Settings& settings);

}  // namespace rusternetes::kube_proxy
