#include "controller-manager/service_load_balancer_plan.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "apimachinery/field_set.h"
#include "client/informer.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Node;
using core_v1::Service;

namespace {

bool is_v6(std::string_view address) { return address.find(':') != std::string_view::npos; }

// Whoever changes the list owns it, alone: the one before loses it (apimachinery/managed_fields.h).
bool is_written_here(const Service& service) {
  for (const auto entry : service.metadata().managedFields()) {
    if (entry.manager() != balancer_manager || entry.subresource() != "status") continue;
    Arena arena;
    const auto fields = parse_fields_v1(arena, entry.fieldsV1());
    const std::array path{PathElement::of_field("status"), PathElement::of_field("loadBalancer"), PathElement::of_field("ingress")};
    if (fields && fields->has(path)) return true;
  }
  return false;
}

auto age(const Service& service) {
  return std::tuple(service.metadata().creationTimestamp(), std::string(service.metadata().namespace_()), std::string(service.metadata().name()));
}

}  // namespace

bool wants_node_balancer(const Service& service) {
  return service.spec().type() == "LoadBalancer" && service.spec().loadBalancerClass().empty() && !service.metadata().has_deletionTimestamp();
}

std::vector<std::string> balancer_addresses(const std::vector<Document>& nodes) {
  std::vector<std::string> out;
  for (const auto& document : nodes) {
    const Node node(&document.root());
    if (node.metadata().labels().find("node.kubernetes.io/exclude-from-external-load-balancers")) continue;
    const auto conditions = node.status().conditions();
    const bool is_ready = std::any_of(conditions.begin(), conditions.end(), [](const auto& one) { return one.type() == "Ready" && one.status() == "True"; });
    if (!is_ready || node.metadata().has_deletionTimestamp()) continue;
    for (const auto address : node.status().addresses())
      if (address.type() == "InternalIP") out.emplace_back(address.address());
  }
  std::ranges::sort(out);
  return out;
}

std::set<NodePortKey> balancer_ports(const Service& service) {
  std::set<NodePortKey> out;
  for (const auto port : service.spec().ports())
    out.emplace(port.protocol().empty() ? "TCP" : std::string(port.protocol()), static_cast<int>(port.port()));
  return out;
}

std::vector<TakenPort> taken_ports(const Document& service, const std::vector<Document>& all, const std::set<NodePortKey>& reserved) {
  const Service wanted(&service.root());
  const auto ports = balancer_ports(wanted);
  std::vector<TakenPort> out;
  for (const auto& port : ports)
    if (reserved.contains(port)) out.push_back({port, "the node"});
  for (const auto& document : all) {
    const Service other(&document.root());
    if (client::object_key(document) == client::object_key(service) || age(wanted) < age(other)) continue;
    for (const auto& port : balancer_ports(other))
      if (ports.contains(port)) out.push_back({port, client::object_key(document)});
  }
  return out;
}

std::vector<std::string> addresses_for(const Service& service, const std::vector<std::string>& addresses) {
  std::vector<std::string> out;
  const auto add = [&](bool wants_v6) {
    std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(out), [&](const auto& one) { return is_v6(one) == wants_v6; });
  };
  for (const auto family : service.spec().ipFamilies()) add(family == "IPv6");
  return out;
}

bool is_served_by_others(const Service& service, const std::vector<std::string>& node_addresses) {
  for (const auto ingress : service.status().loadBalancer().ingress())
    if (ingress.ip().empty() || std::ranges::find(node_addresses, ingress.ip()) == node_addresses.end()) return !is_written_here(service);
  return false;
}

}  // namespace rusternetes::controller_manager
