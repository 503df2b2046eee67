// Validation of Services (pkg/apis/core/validation).

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api-server/strategy/pod_validation.h"
#include "api-server/strategy/service_fields.h"
#include "apimachinery/cidr.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using core_v1::ServicePort;
using core_v1::ServiceSpec;

namespace {

BadValue shown(const TextList& list) {
  std::string json = "[";
  for (const auto item : list) json += fmt::format("{}\"{}\"", json.size() > 1 ? "," : "", item);
  return BadValue::json(json + "]");
}

bool contains(const TextList& list, std::string_view text) {
  for (const auto item : list)
    if (item == text) return true;
  return false;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\n\v\f\r";
  const auto begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

void check_type(const ServiceSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const bool headless = is_headless(spec);
  const FieldPath ips = path.child("clusterIPs");
  if (spec.ports().empty() && !headless && spec.type() != "ExternalName") errors.push_back(field::required(path.child("ports")));
  if (headless && needs_node_port(spec))
    errors.push_back(field::invalid(ips.index(0), "None", fmt::format("may not be set to 'None' for {} services", spec.type())));
  if (spec.type() != "ExternalName") return;
  constexpr std::string_view detail = "may not be set for ExternalName services";
  if (!spec.clusterIPs().empty()) errors.push_back(field::forbidden(ips, detail));
  if (!spec.ipFamilies().empty()) errors.push_back(field::forbidden(path.child("ipFamilies"), detail));
  if (spec.has_ipFamilyPolicy()) errors.push_back(field::forbidden(path.child("ipFamilyPolicy"), detail));
  std::string_view name = spec.externalName();
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty())
    errors.push_back(field::required(path.child("externalName")));
  else
    check_dns_subdomain(name, path.child("externalName"), errors);
}

void check_port(const ServicePort& port, bool needs_name, TextSet& names, const FieldPath& path, FieldErrorList& errors) {
  if (port.name().empty()) {
    if (needs_name) errors.push_back(field::required(path.child("name")));
  } else {
    check_dns_label(port.name(), path.child("name"), errors);
    if (!names.insert(port.name())) errors.push_back(field::duplicate(path.child("name"), port.name()));
  }
  for (const auto& problem : is_valid_port_num(port.port())) errors.push_back(field::invalid(path.child("port"), port.port(), problem));
  check_enum(port.protocol(), path.child("protocol"), {"SCTP", "TCP", "UDP"}, errors);
  validate_port_number_or_name(port.value()->get(ServicePort::f_targetPort), path.child("targetPort"), errors);
  if (port.has_appProtocol()) check_qualified_name(port.appProtocol(), path.child("appProtocol"), errors);
}

void check_session_affinity(const ServiceSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  check_enum(spec.sessionAffinity(), path.child("sessionAffinity"), {"ClientIP", "None"}, errors);
  const FieldPath config_path = path.child("sessionAffinityConfig"), client = config_path.child("clientIP");
  const auto config = spec.sessionAffinityConfig();
  constexpr std::string_view needed = "when session affinity type is ClientIP";
  if (spec.sessionAffinity() == "None") {
    if (config) errors.push_back(field::forbidden(config_path, "must not be set when session affinity is None"));
  } else if (spec.sessionAffinity() == "ClientIP") {
    if (!config) {
      errors.push_back(field::required(config_path, needed));
    } else if (!config.clientIP()) {
      errors.push_back(field::required(client, needed));
    } else if (!config.clientIP().has_timeoutSeconds()) {
      errors.push_back(field::required(client.child("timeoutSeconds"), needed));
    } else if (const std::int64_t seconds = config.clientIP().timeoutSeconds(); seconds <= 0 || seconds > 86400) {
      errors.push_back(field::invalid(client.child("timeoutSeconds"), seconds, "must be greater than 0 and less than 86400"));
    }
  }
}

void check_unique_ports(const ServiceSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const auto ports = spec.ports();
  std::set<std::pair<std::string_view, std::int64_t>> node_ports, numbers;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const FieldPath at = path.index(static_cast<std::int64_t>(i));
    const auto port = ports[i];
    if (spec.type() == "ClusterIP" && port.nodePort() != 0)
      errors.push_back(field::forbidden(at.child("nodePort"), "may not be used when `type` is 'ClusterIP'"));
    if (ports.size() == 1) return;  // nothing to be equal to
    if (port.nodePort() != 0 && !node_ports.emplace(port.protocol(), port.nodePort()).second)
      errors.push_back(field::duplicate(at.child("nodePort"), port.nodePort()));
    if (!numbers.emplace(port.protocol(), port.port()).second)
      errors.push_back(field::duplicate(at, BadValue::json(fmt::format("{{\"protocol\":\"{}\",\"port\":{}}}", port.protocol(), port.port()))));
  }
}

void check_source_ranges(const Service& service, const Service& old, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view key = "service.beta.kubernetes.io/load-balancer-source-ranges";
  constexpr std::string_view wrong_type = "may only be used when `type` is 'LoadBalancer'";
  const ServiceSpec spec = service.spec();
  const bool is_balanced = spec.type() == "LoadBalancer";
  if (!spec.loadBalancerSourceRanges().empty()) {
    const FieldPath list = path.child("LoadBalancerSourceRanges");
    if (!is_balanced) errors.push_back(field::forbidden(list, wrong_type));
    std::int64_t i = -1;
    for (const auto range : spec.loadBalancerSourceRanges()) {
      ++i;
      bool is_old = false;
      for (const auto one : old.spec().loadBalancerSourceRanges()) is_old |= trimmed(one) == trimmed(range);
      if (!is_old) errors.push_invalid(list.index(i), trimmed(range), is_valid_cidr_legacy(trimmed(range)));
    }
    return;
  }
  const Value* annotation = service.metadata().annotations().find(key);
  if (!annotation) return;
  const FieldPath metadata("metadata"), annotations = metadata.child("annotations"), at = annotations.key(key);
  if (!is_balanced) errors.push_back(field::forbidden(at, wrong_type));
  const Value* before = old.metadata().annotations().find(key);
  std::string_view rest = trimmed(annotation->str());
  if (rest.empty() || (before && before->str() == annotation->str())) return;
  while (true) {
    const auto comma = rest.find(',');
    const std::string_view range = trimmed(rest.substr(0, comma));
    errors.push_invalid(at, range, is_valid_cidr_legacy(range));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

void check_load_balancer_class(const ServiceSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  if (!spec.has_loadBalancerClass()) return;
  const FieldPath at = path.child("loadBalancerClass");
  if (spec.type() == "LoadBalancer")
    check_qualified_name(spec.loadBalancerClass(), at, errors);
  else
    errors.push_back(field::forbidden(at, "may only be used when `type` is 'LoadBalancer'"));
}

void check_traffic_policies(const ServiceSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath external = path.child("externalTrafficPolicy"), health = path.child("healthCheckNodePort");
  if (is_externally_accessible(spec))
    check_enum(spec.externalTrafficPolicy(), external, {"Cluster", "Local"}, errors);
  else if (!spec.externalTrafficPolicy().empty())
    errors.push_back(field::invalid(external, spec.externalTrafficPolicy(), "may only be set for externally-accessible services"));
  if (!needs_health_check_node_port(spec)) {
    if (spec.healthCheckNodePort() != 0)
      errors.push_back(field::invalid(health, spec.healthCheckNodePort(), "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"));
  } else if (spec.healthCheckNodePort() == 0) {
    errors.push_back(field::required(health));
  } else {
    for (const auto& problem : is_valid_port_num(spec.healthCheckNodePort()))
      errors.push_back(field::invalid(health, spec.healthCheckNodePort(), problem));
  }
  const FieldPath internal = path.child("internalTrafficPolicy");
  if (spec.has_internalTrafficPolicy())
    check_supported(spec.internalTrafficPolicy(), internal, {"Cluster", "Local"}, errors);
  else if (needs_node_port(spec) || spec.type() == "ClusterIP")
    errors.push_back(field::required(internal));
  if (spec.has_trafficDistribution())
    check_supported(spec.trafficDistribution(), path.child("trafficDistribution"), {"PreferClose", "PreferSameZone", "PreferSameNode"}, errors);
}

// Values that stay once they are set; `name` is clusterIPs or ipFamilies.
void check_ip_changes(const ServiceSpec& spec, const TextList& now, const TextList& then, std::string_view name,
                      bool by_index, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath list = path.child(name);
  constexpr std::string_view changed = "may not change once set";
  const bool is_ips = name == "clusterIPs";
  if (now.size() == then.size()) {
    for (std::size_t i = 0; i < then.size(); ++i)
      if (now[i] != then[i]) errors.push_back(field::invalid(list.index(by_index ? static_cast<std::int64_t>(i) : 0), shown(now), changed));
    return;
  }
  if (now.size() > then.size()) {
    if (!then.empty() && now[0] != then[0]) errors.push_back(field::invalid(list.index(0), shown(now), changed));
    return;
  }
  if (is_ips ? now.empty() : spec.clusterIPs().empty())
    errors.push_back(field::invalid(list.index(0), shown(now), is_ips ? "primary clusterIP can not be unset" : "primary ipFamily can not be unset"));
  if (!now.empty() && now[0] != then[0]) errors.push_back(field::invalid(list.index(0), shown(now), changed));
  if (now.size() == 1 && spec.ipFamilyPolicy() != "SingleStack")
    errors.push_back(field::invalid(path.child("ipFamilyPolicy"), spec.has_ipFamilyPolicy() ? BadValue(spec.ipFamilyPolicy()) : BadValue(nullptr),
                                    fmt::format("must be set to 'SingleStack' when releasing the secondary {}", is_ips ? "clusterIP" : "ipFamily")));
}

}  // namespace

void validate_endpoint_ip(std::string_view address, const FieldPath& path, FieldErrorList& errors) {
  const auto parsed = IpAddress::parse_sloppy(address);
  if (!parsed) {
    errors.push_back(field::invalid(path, address, "must be a valid IP address"));
    return;
  }
  const IpAddress ip = parsed->unmap();
  const auto refuse = [&](std::string_view detail) { errors.push_back(field::invalid(path, address, detail)); };
  if (ip.is_unspecified()) refuse(fmt::format("may not be unspecified ({})", address));
  if (ip.is_loopback()) refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (ip.is_link_local_unicast()) refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (ip.is_link_local_multicast()) refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

void validate_cluster_ip_fields(const ServiceSpec& spec, const ServiceSpec& old, FieldErrorList& errors) {
  if (spec.type() == "ExternalName") return;
  const FieldPath path("spec"), list = path.child("clusterIPs"), families = path.child("ipFamilies");
  const auto ips = spec.clusterIPs();
  if (spec.clusterIP().empty()) {
    if (!ips.empty()) errors.push_back(field::invalid(list, shown(ips), "must be empty when `clusterIP` is not specified"));
  } else if (ips.empty()) {
    errors.push_back(field::required(list));
  } else if (ips[0] != spec.clusterIP()) {
    errors.push_back(field::invalid(list, shown(ips), "first value must match `clusterIP`"));
  }
  TextSet seen;
  std::int64_t i = 0;
  for (const auto family : spec.ipFamilies()) {
    const FieldPath at = families.index(i++);
    check_supported(family, at, {"IPv4", "IPv6"}, errors);
    if (!seen.insert(family)) errors.push_back(field::duplicate(at, family));
  }
  if (spec.has_ipFamilyPolicy())
    check_supported(spec.ipFamilyPolicy(), path.child("ipFamilyPolicy"), {"PreferDualStack", "RequireDualStack", "SingleStack"}, errors);
  bool has_invalid = false, has_v4 = false, has_v6 = false;
  for (std::size_t n = 0; n < ips.size(); ++n) {
    if (n == 0 && ips[n] == "None") {
      if (ips.size() > 1) {
        has_invalid = true;
        errors.push_back(field::invalid(list, shown(ips), "'None' must be the first and only value"));
      }
      continue;
    }
    if (const auto ip = IpAddress::parse_sloppy(ips[n])) (ip->unmap().is_v4() ? has_v4 : has_v6) = true;
    if (contains(old.clusterIPs(), ips[n])) continue;
    const auto problems = is_valid_ip_legacy(ips[n]);
    has_invalid |= !problems.empty();
    errors.push_invalid(list.index(static_cast<std::int64_t>(n)), ips[n], problems);
  }
  if (ips.size() > 2) errors.push_back(field::invalid(list, shown(ips), "may only hold up to 2 values"));
  if (has_invalid) return;
  if (ips.size() > 1 && !(has_v4 && has_v6))
    errors.push_back(field::invalid(list, shown(ips), "may specify no more than one IP for each IP family"));
  if (is_headless(spec)) return;
  for (std::size_t n = 0; n < ips.size() && n < spec.ipFamilies().size(); ++n) {
    const auto ip = IpAddress::parse_sloppy(ips[n]);
    const bool is_v6 = ip && ip->unmap().is_v6();
    const std::string_view family = spec.ipFamilies()[n];
    if ((family == "IPv4" && is_v6) || (family == "IPv6" && !is_v6))
      errors.push_back(field::invalid(list.index(static_cast<std::int64_t>(n)), ips[n], fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", family, n)));
  }
}

void validate_service(const Service& service, const Service& old, FieldErrorList& errors) {
  const FieldPath metadata("metadata"), path("spec");
  const ServiceSpec spec = service.spec();
  const auto annotations = service.metadata().annotations();
  constexpr std::string_view mode = "service.kubernetes.io/topology-mode", hints = "service.kubernetes.io/topology-aware-hints";
  if (annotations.contains(mode) && annotations.contains(hints) && annotations.get(mode) != annotations.get(hints))
    errors.push_back(field::invalid(metadata.child("annotations").key(mode), annotations.get(mode), fmt::format("must match annotations[{}] when both are specified", hints)));
  check_type(spec, path, errors);
  const FieldPath ports = path.child("ports"), external = path.child("externalIPs");
  TextSet names;
  std::int64_t i = 0;
  for (const auto port : spec.ports()) check_port(port, spec.ports().size() > 1, names, ports.index(i++), errors);
  check_labels(spec.selector(), path.child("selector"), errors);
  check_session_affinity(spec, path, errors);
  validate_cluster_ip_fields(spec, old.spec(), errors);
  i = -1;
  for (const auto ip : spec.externalIPs()) {
    ++i;
    const auto problems = contains(old.spec().externalIPs(), ip) ? Messages{} : is_valid_ip_legacy(ip);
    errors.push_invalid(external.index(i), ip, problems);
    if (problems.empty()) validate_endpoint_ip(ip, external.index(i), errors);
  }
  check_enum(spec.type(), path.child("type"), {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"}, errors);
  check_unique_ports(spec, ports, errors);
  check_source_ranges(service, old, path, errors);
  const bool is_balanced = spec.type() == "LoadBalancer";
  if (spec.has_allocateLoadBalancerNodePorts() && !is_balanced)
    errors.push_back(field::forbidden(path.child("allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'"));
  if (is_balanced && !spec.has_allocateLoadBalancerNodePorts())
    errors.push_back(field::required(FieldPath("allocateLoadBalancerNodePorts")));
  check_load_balancer_class(spec, path, errors);
  check_traffic_policies(spec, path, errors);
}

void validate_service_update(const Service& service, const Service& old, FieldErrorList& errors) {
  const FieldPath path("spec");
  const ServiceSpec now = service.spec(), then = old.spec();
  if (needs_cluster_ip(now) && needs_cluster_ip(then)) {
    const bool headless = is_headless(now), was_headless = is_headless(then);
    if (!headless || !was_headless) check_ip_changes(now, now.clusterIPs(), then.clusterIPs(), "clusterIPs", true, path, errors);
    if (!headless && !was_headless) check_ip_changes(now, now.ipFamilies(), then.ipFamilies(), "ipFamilies", false, path, errors);
  }
  if (now.type() == "LoadBalancer" && then.type() == "LoadBalancer" &&
      (now.has_loadBalancerClass() != then.has_loadBalancerClass() || now.loadBalancerClass() != then.loadBalancerClass()))
    errors.push_back(field::invalid(path.child("loadBalancerClass"), now.has_loadBalancerClass() ? BadValue(now.loadBalancerClass()) : BadValue(nullptr), "may not change once set"));
  if (needs_health_check_node_port(now) && needs_health_check_node_port(then) && now.healthCheckNodePort() != then.healthCheckNodePort())
    errors.push_back(field::forbidden(path.child("healthCheckNodePort"), field_is_immutable));
  validate_service(service, old, errors);
}

void validate_load_balancer_status(const Service& service, const Service& old, FieldErrorList& errors) {
  const FieldPath status("status"), balancer = status.child("loadBalancer"), list = balancer.child("ingress");
  const auto ingresses = service.status().loadBalancer().ingress();
  if (ingresses.empty()) return;
  if (service.spec().type() != "LoadBalancer") {
    errors.push_back(field::forbidden(list, "may only be used when `spec.type` is 'LoadBalancer'"));
    return;
  }
  std::int64_t i = 0;
  for (const auto ingress : ingresses) {
    const FieldPath at = list.index(i++);
    bool is_old = false;
    for (const auto one : old.status().loadBalancer().ingress()) is_old |= one.ip() == ingress.ip();
    if (!ingress.ip().empty() && !is_old) errors.push_invalid(at.child("ip"), ingress.ip(), is_valid_ip_legacy(ingress.ip()));
    if (!ingress.has_ipMode()) {
      if (!ingress.ip().empty()) errors.push_back(field::required(at.child("ipMode"), "must be specified when `ip` is set"));
    } else if (ingress.ip().empty()) {
      errors.push_back(field::forbidden(at.child("ipMode"), "may not be specified when `ip` is not set"));
    } else {
      check_supported(ingress.ipMode(), at.child("ipMode"), {"Proxy", "VIP"}, errors);
    }
    if (ingress.hostname().empty()) continue;
    check_dns_subdomain(ingress.hostname(), at.child("hostname"), errors);
    if (IpAddress::parse_sloppy(ingress.hostname()))
      errors.push_back(field::invalid(at.child("hostname"), ingress.hostname(), "must be a DNS name, not an IP address"));
  }
}

}  // namespace rusternetes::api_server
