#include "api-server/strategy/service_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/strategy/defaulting.h"
#include "apimachinery/cidr.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::ServicePort;
using core_v1::ServiceSpec;

namespace {

void set_list(Arena& arena, Value& spec, int field, std::initializer_list<std::string_view> texts) {
  Value list = Value::empty(ValueKind::list);
  for (const auto text : texts) append_string(arena, list, text);
  assign(set_field(arena, spec, field), list);
}

bool has_same_cluster_ips(const ServiceSpec& a, const ServiceSpec& b) {
  return a.clusterIP() == b.clusterIP() && has_same_texts(a.clusterIPs(), b.clusterIPs());
}

bool uses_node_port(const ServiceSpec& spec, std::int64_t number) {
  for (const auto port : spec.ports())
    if (port.nodePort() == number) return true;
  return false;
}

void keep_node_ports(Arena& arena, Value& spec, const ServiceSpec& old) {
  // The numbers that the client gave, before any is filled in.
  std::vector<std::int64_t> given;
  for (const auto port : ServiceSpec(&spec).ports())
    if (port.nodePort() != 0) given.push_back(port.nodePort());
  each_item(spec, ServiceSpec::f_ports, [&](Value& port) {
    const ServicePort view(&port);
    if (view.nodePort() != 0) return;
    std::int64_t kept = 0;
    for (const auto one : old.ports())
      if (one.name() == view.name()) kept = one.nodePort();
    // A port that the client gave to another entry is not taken twice.
    const bool is_used = std::find(given.begin(), given.end(), kept) != given.end();
    if (kept != 0 && !is_used) set_integer(arena, port, ServicePort::f_nodePort, kept);
  });
}

std::string_view family_of(std::string_view address) {
  const auto ip = IpAddress::parse_sloppy(address);
  return ip && ip->unmap().is_v6() ? "IPv6" : "IPv4";
}

BadValue shown(const TextList& list) {
  std::string json = "[";
  for (const auto item : list) json += fmt::format("{}\"{}\"", json.size() > 1 ? "," : "", item);
  return BadValue::json(json + "]");
}

}  // namespace

bool is_headless(const ServiceSpec& spec) { return spec.clusterIPs().size() == 1 && spec.clusterIPs()[0] == "None"; }
bool needs_cluster_ip(const ServiceSpec& spec) { return spec.type() != "ExternalName"; }
bool needs_node_port(const ServiceSpec& spec) { return spec.type() == "NodePort" || spec.type() == "LoadBalancer"; }
bool allocates_node_ports(const ServiceSpec& spec) {
  const bool is_told_not_to = spec.has_allocateLoadBalancerNodePorts() && !spec.allocateLoadBalancerNodePorts();
  return spec.type() == "NodePort" || (spec.type() == "LoadBalancer" && !is_told_not_to);
}
bool needs_health_check_node_port(const ServiceSpec& spec) {
  return spec.type() == "LoadBalancer" && spec.externalTrafficPolicy() == "Local";
}
bool is_externally_accessible(const ServiceSpec& spec) {
  return needs_node_port(spec) || (spec.type() == "ClusterIP" && !spec.externalIPs().empty());
}
bool has_same_texts(const TextList& a, const TextList& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) return false;
  return true;
}

void normalize_cluster_ips(Arena& arena, Value& spec, const Value* old) {
  const ServiceSpec now(&spec), then(old);
  if (!old) {
    if (!now.clusterIP().empty() && now.clusterIPs().empty()) set_list(arena, spec, ServiceSpec::f_clusterIPs, {now.clusterIP()});
    return;
  }
  if (!then.clusterIPs().empty() && now.clusterIPs().empty() && now.clusterIP() == then.clusterIP())
    take_field(arena, spec, *old, ServiceSpec::f_clusterIPs);
  if (now.clusterIP() == then.clusterIP() || !has_same_texts(now.clusterIPs(), then.clusterIPs())) return;
  if (!then.clusterIP().empty() && now.clusterIP().empty())
    erase_field(spec, ServiceSpec::f_clusterIPs);
  else
    set_list(arena, spec, ServiceSpec::f_clusterIPs, {now.clusterIP()});
}

void keep_allocated_values(Arena& arena, Value& spec, const Value& old) {
  const ServiceSpec now(&spec), then(&old);
  if (needs_cluster_ip(now) && needs_cluster_ip(then)) {
    if (now.clusterIP().empty()) take_field(arena, spec, old, ServiceSpec::f_clusterIP);
    if (now.clusterIPs().empty()) take_field(arena, spec, old, ServiceSpec::f_clusterIPs);
  }
  if (allocates_node_ports(now) && allocates_node_ports(then)) keep_node_ports(arena, spec, then);
  if (needs_health_check_node_port(now) && needs_health_check_node_port(then) && now.healthCheckNodePort() == 0)
    take_field(arena, spec, old, ServiceSpec::f_healthCheckNodePort);
}

void drop_fields_of_old_type(Value& spec, const Value& old) {
  const ServiceSpec now(&spec), then(&old);
  const auto is_unchanged = [&](int field) { return is_same_loosely(spec.get(field), old.get(field)); };
  if (needs_cluster_ip(then) && !needs_cluster_ip(now)) {
    if (has_same_cluster_ips(now, then)) {
      erase_field(spec, ServiceSpec::f_clusterIP);
      erase_field(spec, ServiceSpec::f_clusterIPs);
    }
    if (is_unchanged(ServiceSpec::f_ipFamilies)) erase_field(spec, ServiceSpec::f_ipFamilies);
    if (is_unchanged(ServiceSpec::f_ipFamilyPolicy)) erase_field(spec, ServiceSpec::f_ipFamilyPolicy);
  }
  if (needs_node_port(then) && !needs_node_port(now)) {
    const auto ports = now.ports();
    const bool has_new = std::any_of(ports.begin(), ports.end(), [&](const ServicePort& port) {
      return port.nodePort() != 0 && !uses_node_port(then, port.nodePort());
    });
    if (!has_new) each_item(spec, ServiceSpec::f_ports, [](Value& port) { erase_field(port, ServicePort::f_nodePort); });
  }
  if (needs_health_check_node_port(then) && !needs_health_check_node_port(now) && is_unchanged(ServiceSpec::f_healthCheckNodePort))
    erase_field(spec, ServiceSpec::f_healthCheckNodePort);
  if (then.type() == "LoadBalancer" && now.type() != "LoadBalancer")
    for (const int field : {ServiceSpec::f_allocateLoadBalancerNodePorts, ServiceSpec::f_loadBalancerClass})
      if (is_unchanged(field)) erase_field(spec, field);
  if (is_externally_accessible(then) && !is_externally_accessible(now) && is_unchanged(ServiceSpec::f_externalTrafficPolicy))
    erase_field(spec, ServiceSpec::f_externalTrafficPolicy);
}

namespace {

// A change of the cluster's families neither adds an address to such a Service nor takes one off, as long as nobody asks.
bool keeps_its_preference(const ServiceSpec& now, const ServiceSpec& then) {
  constexpr std::string_view prefer = "PreferDualStack";
  return now.type() == then.type() && now.has_ipFamilyPolicy() && now.ipFamilyPolicy() == prefer &&
         (!then.has_ipFamilyPolicy() || then.ipFamilyPolicy() == prefer) && has_same_texts(now.clusterIPs(), then.clusterIPs()) &&
         has_same_texts(now.ipFamilies(), then.ipFamilies());
}

// Without saying SingleStack nobody gives up a second address.
void check_releases(const ServiceSpec& now, const ServiceSpec& then, const FieldPath& path, FieldErrorList& errors) {
  const auto check = [&](const TextList& has, const TextList& had, std::string_view what) {
    if (!has.empty() && has.size() < had.size())
      errors.push_back(field::invalid(path, now.ipFamilyPolicy(), fmt::format("must be 'SingleStack' to release the secondary {}", what)));
  };
  check(now.clusterIPs(), then.clusterIPs(), "cluster IP");
  check(now.ipFamilies(), then.ipFamilies(), "IP family");
}

// The second half of init_ip_families: which families an already consistent service has.
void complete_families(Arena& arena, Value& spec, std::span<const std::string_view> families, FieldErrorList& errors) {
  const FieldPath path("spec");
  const ServiceSpec now(&spec);
  const auto has_family = [&](std::string_view family) { return std::find(families.begin(), families.end(), family) != families.end(); };
  const bool is_selectorless = now.clusterIP() == "None" && now.selector().empty();
  const bool is_single = now.ipFamilyPolicy() == "SingleStack";
  if (!is_selectorless) {
    if (now.ipFamilyPolicy() == "RequireDualStack" && families.size() < 2)
      errors.push_back(field::invalid(path.child("ipFamilyPolicy"), now.ipFamilyPolicy(), "this cluster is not configured for dual-stack services"));
    const FieldPath list = path.child("ipFamilies");
    std::int64_t i = 0;
    for (const auto family : now.ipFamilies()) {
      if (!has_family(family)) errors.push_back(field::invalid(list.index(i), family, "not configured on this cluster"));
      ++i;
    }
    if (!errors.empty()) return;
  }
  if (now.ipFamilies().empty()) set_list(arena, spec, ServiceSpec::f_ipFamilies, {families.front()});
  if (is_single || now.ipFamilies().size() != 1 || (!is_selectorless && families.size() < 2)) return;
  const bool is_v4 = now.ipFamilies()[0] == "IPv4";
  append_string(arena, *spec.get(ServiceSpec::f_ipFamilies), is_v4 ? "IPv6" : "IPv4");
}

}  // namespace

void init_ip_families(Arena& arena, Value& spec, const Value* old, std::span<const std::string_view> families,
                      FieldErrorList& errors) {
  const ServiceSpec now(&spec), then(old);
  if (!needs_cluster_ip(now) || families.empty() || (old && keeps_its_preference(now, then))) return;
  const FieldPath path("spec"), policy_path = path.child("ipFamilyPolicy");
  if (!now.has_ipFamilyPolicy()) {
    const bool is_selectorless = now.clusterIP() == "None" && now.selector().empty();
    const std::string_view policy = then.has_ipFamilyPolicy() ? then.ipFamilyPolicy() : is_selectorless ? "RequireDualStack" : "SingleStack";
    set_string(arena, spec, ServiceSpec::f_ipFamilyPolicy, policy);
  }
  validate_cluster_ip_fields(now, then, errors);
  if (!errors.empty()) return;
  const bool is_single = now.ipFamilyPolicy() == "SingleStack";
  const auto cut = [&](int field) {
    Value* list = spec.get(field);
    if (!list || list->size < 2 || !is_same(list, old->get(field))) return;
    assign(*list, copy_level(arena, *list));
    while (list->size > 1) erase_item(*list, list->size - 1);
  };
  if (old && is_single) {
    cut(ServiceSpec::f_clusterIPs);
    cut(ServiceSpec::f_ipFamilies);
  } else if (old) {
    check_releases(now, then, policy_path, errors);
  }
  if (is_single && now.clusterIPs().size() == 2)
    errors.push_back(field::invalid(policy_path, now.ipFamilyPolicy(), "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"));
  if (is_single && now.ipFamilies().size() == 2)
    errors.push_back(field::invalid(policy_path, now.ipFamilyPolicy(), "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"));
  const FieldPath list = path.child("clusterIPs");
  for (std::size_t i = 0; i < now.clusterIPs().size() && now.clusterIPs()[i] != "None"; ++i) {
    if (i < now.ipFamilies().size()) continue;
    const std::string_view family = family_of(now.clusterIPs()[i]);
    if (std::find(families.begin(), families.end(), family) == families.end())
      errors.push_back(field::invalid(list.index(static_cast<std::int64_t>(i)), shown(now.clusterIPs()), fmt::format("{} is not configured on this cluster", family)));
    else
      append_string(arena, ensure(arena, spec, ServiceSpec::f_ipFamilies, ValueKind::list), family);
  }
  if (errors.empty()) complete_families(arena, spec, families, errors);
}

}  // namespace rusternetes::api_server
