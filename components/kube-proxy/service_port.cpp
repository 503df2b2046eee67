#include "kube-proxy/service_port.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apimachinery/api/core_v1.h"
#include "kube-proxy/lenient.h"
#include "kube-proxy/service_rules.h"

namespace rusternetes::kube_proxy {

using apimachinery::Document;
using apimachinery::core_v1::Service;

namespace {

constexpr std::int64_t kDefaultAffinity_s = 10800;

std::optional<Protocol> protocol_of(std::string_view text) {
  if (text == "TCP" || text.empty()) return Protocol::tcp;
  if (text == "UDP") return Protocol::udp;
  if (text == "SCTP") return Protocol::sctp;
  return std::nullopt;
}

// Names go into commands; the API's validation lets nothing else through.
bool is_name(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <class List>
std::vector<IpAddress> addresses(const List& list, Family family) {
  std::vector<IpAddress> out;
  for (const auto text : list)
    if (const auto address = lenient_address(text); address && family_of(*address) == family)
      out.push_back(*address);
  return out;
}

// A range of everything means the same as none. One that cannot be read may be of either family, and lets
// nobody in.
void read_source_ranges(const Service& service, ServicePort& out) {
  for (const auto text : service.spec().loadBalancerSourceRanges()) {
    const auto range = lenient_prefix(trimmed(text));
    if (range && family_of(range->address()) != out.family) continue;
    if (range && range->is_everything()) {
      out.source_ranges.clear();
      out.has_source_ranges = false;
      return;
    }
    out.has_source_ranges = true;
    if (range) out.source_ranges.push_back(*range);
  }
}

// What all ports of one family share.
ServicePort common(const Service& service, Family family, const IpAddress& cluster_ip) {
  ServicePort out;
  const auto spec = service.spec();
  out.family = family;
  out.cluster_ip = cluster_ip;
  out.external_ips = addresses(spec.externalIPs(), family);
  for (const auto each : service.status().loadBalancer().ingress()) {
    if (!each.ipMode().empty() && each.ipMode() != "VIP") continue;
    if (const auto address = lenient_address(each.ip()); address && family_of(*address) == family)
      out.load_balancer_ips.push_back(*address);
  }
  read_source_ranges(service, out);
  if (spec.sessionAffinity() == "ClientIP")
    out.affinity_s = spec.sessionAffinityConfig().clientIP().timeoutSeconds(kDefaultAffinity_s);
  out.is_internal_local = spec.internalTrafficPolicy() == "Local";
  out.is_external_local =
      spec.externalTrafficPolicy() == "Local" &&
      (spec.type() == "NodePort" || spec.type() == "LoadBalancer" || !spec.externalIPs().empty());
  return out;
}

std::vector<IpAddress> cluster_ips(const Service& service, Family family) {
  auto out = addresses(service.spec().clusterIPs(), family);
  if (!out.empty() || !service.spec().clusterIPs().empty()) return out;
  return addresses(std::vector<std::string_view>{service.spec().clusterIP()}, family);
}

}  // namespace

bool is_proxied(const Document& document) {
  const Service service(&document.root());
  const auto labels = service.metadata().labels();
  if (labels.contains("service.kubernetes.io/service-proxy-name") ||
      labels.contains("service.kubernetes.io/headless"))
    return false;
  const auto spec = service.spec();
  return spec.type() != "ExternalName" && !spec.clusterIP().empty() && spec.clusterIP() != "None";
}

std::vector<ServicePort> service_ports(const Document& document) {
  const Service service(&document.root());
  const auto meta = service.metadata();
  std::vector<ServicePort> out;
  if (!is_name(meta.name()) || !is_name(meta.namespace_())) return out;
  for (const Family family : kFamilies) {
    const auto found = cluster_ips(service, family);
    if (found.empty()) continue;
    const ServicePort shared = common(service, family, found.front());
    for (const auto each : service.spec().ports()) {
      const auto protocol = protocol_of(each.protocol());
      if (!protocol || !is_name(each.name()) || each.port() <= 0 || each.port() > 65535) continue;
      ServicePort port = shared;
      port.name = each.name();
      port.protocol = *protocol;
      port.port = static_cast<std::uint16_t>(each.port());
      port.node_port =
          each.nodePort() > 0 && each.nodePort() <= 65535 ? static_cast<std::uint16_t>(each.nodePort()) : 0;
      port.path = fmt::format("{}/{}/{}/{}", meta.namespace_(), meta.name(), word(*protocol),
                              each.name().empty() ? "-" : each.name());
      out.push_back(std::move(port));
    }
  }
  return out;
}

std::uint16_t health_check_port(const Document& document) {
  const auto spec = Service(&document.root()).spec();
  if (spec.type() != "LoadBalancer" || spec.externalTrafficPolicy() != "Local") return 0;
  const auto port = spec.healthCheckNodePort();
  return port > 0 && port <= 65535 ? static_cast<std::uint16_t>(port) : 0;
}

}  // namespace rusternetes::kube_proxy
