#include "controller-manager/endpoint_slice_endpoints.h"

#include <algorithm>

#include "apimachinery/cidr.h"
#include "apimachinery/edit.h"
#include "controller-manager/endpoint_slice_order.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Pod;
using core_v1::Service;
using discovery_v1::Endpoint;
using discovery_v1::EndpointPort;

namespace {

// Text of a document that outlives the arena's values is not copied.
void set_text(Arena& arena, Value& parent, int field, std::string_view text) {
  assign(set_field(arena, parent, field), Value::of_text(text));
}

Value ports_entry(Arena& arena, const core_v1::ServicePort& port, std::int64_t number) {
  Value value = Value::empty(ValueKind::structure);
  set_text(arena, value, EndpointPort::f_name, port.name());
  set_text(arena, value, EndpointPort::f_protocol, port.protocol());
  set_integer(arena, value, EndpointPort::f_port, number);
  if (port.has_appProtocol()) set_text(arena, value, EndpointPort::f_appProtocol, port.appProtocol());
  return value;
}

Value endpoint_of(Arena& arena, const Service& service, const Pod& pod, const Document& node,
                  const std::vector<std::string_view>& addresses) {
  Value value = Value::empty(ValueKind::structure);
  Value& list = ensure(arena, value, Endpoint::f_addresses, ValueKind::list);
  for (const auto address : addresses) append(arena, list, Value::of_text(address));

  const bool is_serving = is_pod_ready(pod), is_terminating = pod.metadata().has_deletionTimestamp();
  using C = discovery_v1::EndpointConditions;
  Value& conditions = ensure(arena, value, Endpoint::f_conditions);
  set_boolean(arena, conditions, C::f_ready,
              service.spec().publishNotReadyAddresses() || (is_serving && !is_terminating));
  set_boolean(arena, conditions, C::f_serving, is_serving);
  set_boolean(arena, conditions, C::f_terminating, is_terminating);

  if (has_hostname_in(pod, service)) set_text(arena, value, Endpoint::f_hostname, pod.spec().hostname());
  using R = core_v1::ObjectReference;
  Value& target = ensure(arena, value, Endpoint::f_targetRef);
  set_text(arena, target, R::f_kind, "Pod");
  set_text(arena, target, R::f_namespace_, pod.metadata().namespace_());
  set_text(arena, target, R::f_name, pod.metadata().name());
  set_text(arena, target, R::f_uid, pod.metadata().uid());
  if (!pod.spec().nodeName().empty()) set_text(arena, value, Endpoint::f_nodeName, pod.spec().nodeName());
  if (node)
    if (const auto zone = metadata_of(node).labels().get("topology.kubernetes.io/zone"); !zone.empty())
      assign(set_field(arena, value, Endpoint::f_zone), Value::of_text(arena.copy(zone)));
  return value;
}

// Groups by the numbers that the Service's ports have in a Pod (-1: none there).
class Groups {
 public:
  Groups(Arena& arena, const Service& service) : arena_(arena), service_(service) {}
  PortGroup& of(const Pod& pod) {
    std::vector<std::int64_t> numbers;
    for (const auto port : service_.spec().ports()) numbers.push_back(target_port(pod, port).value_or(-1));
    const auto [it, is_new] = by_numbers_.try_emplace(numbers, groups_.size());
    if (!is_new) return groups_[it->second];
    PortGroup& group = groups_.emplace_back();
    std::size_t i = 0;
    for (const auto port : service_.spec().ports()) {
      const std::int64_t number = numbers[i++];
      if (number >= 0) group.ports.push_back(ports_entry(arena_, port, number));
    }
    group.key = port_key(group.ports);
    return group;
  }
  std::vector<PortGroup> take() { return std::move(groups_); }

 private:
  Arena& arena_;
  const Service& service_;
  std::map<std::vector<std::int64_t>, std::size_t> by_numbers_;
  std::vector<PortGroup> groups_;
};

bool is_same_condition(const Value* a, const Value* b) {
  return !a == !b && (!a || a->boolean == b->boolean);
}

bool is_same_text(bool has_a, std::string_view a, bool has_b, std::string_view b) {
  return has_a == has_b && a == b;
}

}  // namespace

std::string port_key(std::vector<Value>& ports) {
  sort_by_hash<EndpointPort>(ports);
  std::string key;
  for (const Value& port : ports) key += order_text(EndpointPort(&port));
  return key;
}

std::string endpoint_key(const Endpoint& endpoint) {
  std::vector<std::string_view> addresses;
  for (const auto address : endpoint.addresses()) addresses.push_back(address);
  std::sort(addresses.begin(), addresses.end());
  std::string key;
  for (const auto address : addresses) (key += address) += '\n';
  ((key += '\n') += endpoint.hostname()) += '\n';
  return (((key += endpoint.targetRef().namespace_()) += '\n') += endpoint.targetRef().name());
}

bool is_same_endpoint(const Endpoint& a, const Endpoint& b) {
  using C = discovery_v1::EndpointConditions;
  for (const int field : {C::f_ready, C::f_serving, C::f_terminating})
    if (!is_same_condition(descend(a.value(), Endpoint::f_conditions, field),
                           descend(b.value(), Endpoint::f_conditions, field)))
      return false;
  if (!is_same_text(a.has_nodeName(), a.nodeName(), b.has_nodeName(), b.nodeName()) ||
      !is_same_text(a.has_zone(), a.zone(), b.has_zone(), b.zone()) || a.has_targetRef() != b.has_targetRef())
    return false;
  const auto x = a.targetRef(), y = b.targetRef();
  return x.kind() == y.kind() && x.namespace_() == y.namespace_() && x.name() == y.name() &&
         x.uid() == y.uid() && x.apiVersion() == y.apiVersion() && x.fieldPath() == y.fieldPath();
}

DesiredEndpoints desired_endpoints(Arena& arena, const Service& service, const std::vector<Document>& pods,
                                   const std::function<Document(std::string_view name)>& node, bool is_v6) {
  DesiredEndpoints desired;
  Groups groups(arena, service);
  for (const auto& document : pods) {
    const Pod pod(&document.root());
    if (!belongs_in_endpoints(pod, true)) continue;
    PortGroup& group = groups.of(pod);  // a group without endpoints counts too: its slices go
    const Document home = node(pod.spec().nodeName());
    if (!home && !service.spec().publishNotReadyAddresses()) {
      desired.homeless.push_back({std::string(pod.metadata().name()), std::string(pod.spec().nodeName())});
      continue;
    }
    const auto addresses = addresses_of(arena, pod, is_v6);
    if (!addresses.empty()) group.endpoints.push_back(endpoint_of(arena, service, pod, home, addresses));
  }
  desired.groups = groups.take();
  return desired;
}

std::vector<std::string_view> address_types_of(const Service& service) {
  std::vector<std::string_view> types;
  for (const auto family : service.spec().ipFamilies())
    if (family == "IPv4" || family == "IPv6") types.push_back(family);
  if (!types.empty()) return types;
  if (!has_cluster_ip(service)) return {"IPv4", "IPv6"};
  const auto address = IpAddress::parse_sloppy(service.spec().clusterIP());
  return {address && address->is_v6() ? "IPv6" : "IPv4"};
}

Value slice_labels(Arena& arena, const Service& service) {
  Value labels = Value::empty(ValueKind::map);
  for (const auto& [key, value] : service.metadata().labels())
    if (key != service_name_label && key != slice_managed_by_label && key != headless_label)
      set_map_string(arena, labels, key, value);
  if (!has_cluster_ip(service)) set_map_string(arena, labels, headless_label, "");
  set_map_string(arena, labels, service_name_label, service.metadata().name());
  set_map_string(arena, labels, slice_managed_by_label, slice_controller);
  return labels;
}

std::string slice_prefix(std::string_view name) {
  constexpr std::size_t longest_name = 253;
  return name.size() < longest_name ? std::string(name) + "-" : std::string(name);
}

std::string service_key_of(const Document& slice) {
  const auto metadata = metadata_of(slice);
  const auto name = metadata.labels().get(service_name_label);
  return name.empty() ? std::string() : key_of(metadata.namespace_(), name);
}

std::string_view manager_of(const Document& slice) {
  return metadata_of(slice).labels().get(slice_managed_by_label);
}

}  // namespace rusternetes::controller_manager
