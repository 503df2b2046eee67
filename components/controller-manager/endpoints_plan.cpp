#include "controller-manager/endpoints_plan.h"

#include <algorithm>
#include <span>

#include "apimachinery/cidr.h"
#include "client/object_builder.h"
#include "controller-manager/endpoint_slice_services.h"
#include "controller-manager/endpoints_subsets.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::EndpointAddress;
using core_v1::EndpointPort;
using core_v1::Endpoints;
using core_v1::Pod;
using core_v1::Service;
using Metadata = meta_v1::ObjectMeta;

namespace {

bool is_v6(const Service& service) {
  if (const auto families = service.spec().ipFamilies(); !families.empty()) return families[0] == "IPv6";
  const auto address = IpAddress::parse_sloppy(service.spec().clusterIP());
  return address && address->is_v6();
}

Value address_of(Arena& arena, const Service& service, const Pod& pod, std::string_view ip) {
  Value value = Value::empty(ValueKind::structure);
  auto text = [&](Value& parent, int field, std::string_view what) {
    assign(set_field(arena, parent, field), Value::of_text(what));
  };
  text(value, EndpointAddress::f_ip, ip);
  if (has_hostname_in(pod, service)) text(value, EndpointAddress::f_hostname, pod.spec().hostname());
  text(value, EndpointAddress::f_nodeName, pod.spec().nodeName());
  using R = core_v1::ObjectReference;
  Value& target = ensure(arena, value, EndpointAddress::f_targetRef);
  text(target, R::f_kind, "Pod");
  text(target, R::f_namespace_, pod.metadata().namespace_());
  text(target, R::f_name, pod.metadata().name());
  text(target, R::f_uid, pod.metadata().uid());
  return value;
}

Value port_of(Arena& arena, const core_v1::ServicePort& port, std::int64_t number) {
  Value value = Value::empty(ValueKind::structure);
  auto text = [&](int field, std::string_view what) {
    assign(set_field(arena, value, field), Value::of_text(what));
  };
  if (!port.name().empty()) text(EndpointPort::f_name, port.name());
  set_integer(arena, value, EndpointPort::f_port, number);
  if (!port.protocol().empty()) text(EndpointPort::f_protocol, port.protocol());
  if (port.has_appProtocol()) text(EndpointPort::f_appProtocol, port.appProtocol());
  return value;
}

std::vector<Value> desired_subsets(Arena& arena, const EndpointsState& state) {
  const Service service(&state.service.root());
  const bool with_unready = service.spec().publishNotReadyAddresses(), wants_v6 = is_v6(service);
  SubsetPacker packer(arena);
  for (const auto& document : state.pods) {
    const Pod pod(&document.root());
    if (!belongs_in_endpoints(pod, with_unready)) continue;
    const auto addresses = addresses_of(arena, pod, wants_v6);
    if (addresses.empty()) continue;
    const Value address = address_of(arena, service, pod, addresses[0]);
    const bool is_ready = with_unready || is_pod_ready(pod);
    if (service.spec().ports().empty() && service.spec().clusterIP() == "None")
      packer.add(address, nullptr, is_ready);
    for (const auto port : service.spec().ports())
      if (const auto number = target_port(pod, port)) {
        const Value value = port_of(arena, port, *number);
        packer.add(address, &value, is_ready);
      }
  }
  return packer.pack();
}

Value desired_labels(Arena& arena, const Service& service) {
  Value labels = Value::empty(ValueKind::map);
  for (const auto& [key, value] : service.metadata().labels())
    if (key != headless_label) set_map_string(arena, labels, key, value);
  if (!has_cluster_ip(service)) set_map_string(arena, labels, headless_label, "");
  set_map_string(arena, labels, endpoints_managed_by_label, endpoints_controller);
  return labels;
}

bool is_same_list(std::span<const Value> a, std::span<const Value> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Value& x, const Value& y) { return equal(x, y); });
}

bool is_right(const Document& current, const std::vector<Value>& subsets, const Value& labels,
              bool is_over_capacity) {
  const Endpoints view(&current.root());
  const Value* has_labels = view.metadata().labels().value();
  if (!has_labels) return false;
  Value bare = *has_labels;
  bare.field = labels.field;
  if (!equal(bare, labels) ||
      view.metadata().annotations().contains(over_capacity_annotation) != is_over_capacity)
    return false;
  const Value* list = current.root().get(Endpoints::f_subsets);
  if (is_same_list(list ? list->children() : std::span<const Value>{}, subsets)) return true;
  Arena arena;  // somebody may have written the same in another form
  return is_same_list(repack_subsets(arena, view.subsets()), subsets);
}

void annotate(Arena& arena, Value& metadata, std::string_view key, std::string_view text) {
  if (!text.empty()) {
    set_map_string(arena, ensure(arena, metadata, Metadata::f_annotations, ValueKind::map), key, text);
  } else if (Value* annotations = metadata.get(Metadata::f_annotations)) {
    erase_key(*annotations, key);
    if (annotations->size == 0) erase_field(metadata, Metadata::f_annotations);
  }
}

}  // namespace

Document plan_endpoints(const EndpointsState& state) {
  const Service service(&state.service.root());
  Arena scratch;
  std::vector<Value> subsets = desired_subsets(scratch, state);
  const bool is_over_capacity = truncate_subsets(scratch, subsets);
  const Value labels = desired_labels(scratch, service);
  if (state.current && is_right(state.current, subsets, labels, is_over_capacity)) return {};

  client::ObjectBuilder builder(Endpoints::schema_type());
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), Endpoints::f_metadata);
  if (state.current) {
    assign(metadata, deep_copy(arena, *state.current.root().get(Endpoints::f_metadata)));
  } else {
    set_string(arena, metadata, Metadata::f_name, service.metadata().name());
    set_string(arena, metadata, Metadata::f_namespace_, service.metadata().namespace_());
  }
  assign(set_field(arena, metadata, Metadata::f_labels), deep_copy(arena, labels));
  annotate(arena, metadata, trigger_time_annotation, state.trigger_time);
  annotate(arena, metadata, over_capacity_annotation, is_over_capacity ? "truncated" : "");
  if (!subsets.empty()) {
    Value& list = ensure(arena, builder.root(), Endpoints::f_subsets, ValueKind::list);
    for (const Value& subset : subsets) append(arena, list, subset);
  }
  return builder.freeze();
}

}  // namespace rusternetes::controller_manager
