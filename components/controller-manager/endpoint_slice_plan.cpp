#include "controller-manager/endpoint_slice_plan.h"

#include <algorithm>

#include "client/object_builder.h"
#include "controller-manager/endpoint_slice_endpoints.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Service;
using discovery_v1::EndpointSlice;
using Fate = WorkingSlice::Fate;
using Metadata = meta_v1::ObjectMeta;

namespace {

bool is_owned_by(const Document& slice, const Service& service) {
  for (const auto owner : metadata_of(slice).ownerReferences())
    if (owner.uid() == service.metadata().uid() && owner.kind() == "Service" && owner.apiVersion() == "v1")
      return true;
  return false;
}

bool wants_topology(const Service& service) {
  const auto annotations = service.metadata().annotations();
  const char* older = "service.kubernetes.io/topology-aware-hints";
  const auto mode = annotations.contains(older) ? annotations.get(older)
                                                : annotations.get("service.kubernetes.io/topology-mode");
  return mode == "Auto" || mode == "auto";
}

// Whether trafficDistribution says something that this release knows; then also whether nodes are to be
// named.
bool wants_own_zones(const Service& service, bool& with_nodes) {
  const auto wanted = service.spec().trafficDistribution();
  with_nodes = wanted == "PreferSameNode";
  return with_nodes || wanted == "PreferClose" || wanted == "PreferSameZone";
}

class Planner {
 public:
  Planner(const ServiceState& state, Topology& topology, std::size_t limit)
      : state_(state),
        service_(&state.service.root()),
        topology_(topology),
        limit_(limit),
        labels_(slice_labels(arena_, service_)) {}

  SlicePlan plan() {
    const auto types = address_types_of(service_);
    std::map<std::string_view, std::vector<Document>> by_type;
    for (const auto& slice : state_.slices) {
      const auto type = EndpointSlice(&slice.root()).addressType();
      if (std::find(types.begin(), types.end(), type) != types.end()) {
        by_type[type].push_back(slice);
      } else {
        topology_.drop(key_, type);
        plan_.remove.push_back(slice);
      }
    }
    for (const auto type : types) plan_type(type, by_type[type]);
    return std::move(plan_);
  }

 private:
  void plan_type(std::string_view type, const std::vector<Document>& there) {
    auto desired = desired_endpoints(arena_, service_, state_.pods, state_.node, type == "IPv6");
    if (plan_.homeless.empty())
      for (auto& one : desired.homeless) plan_.homeless.push_back({std::move(one.pod), std::move(one.node)});

    std::map<std::string, std::vector<WorkingSlice>> by_ports;
    std::vector<WorkingSlice> slices;
    for (const auto& slice : there) {
      WorkingSlice working = WorkingSlice::existing(slice);
      if (is_owned_by(slice, service_)) {
        std::vector<Value> ports = ports_of(slice);
        by_ports[port_key(ports)].push_back(std::move(working));
      } else {
        working.fate = Fate::remove;
        slices.push_back(std::move(working));
      }
    }
    for (const auto& group : desired.groups) {
      std::vector<WorkingSlice> of_group;
      if (const auto it = by_ports.find(group.key); it != by_ports.end()) {
        of_group = std::move(it->second);
        by_ports.erase(it);
      }
      pack_endpoints(of_group, group.endpoints, group.ports, labels_, limit_);
      std::move(of_group.begin(), of_group.end(), std::back_inserter(slices));
    }
    for (auto& [key, of_ports] : by_ports)  // ports that no Pod has any more
      for (auto& slice : of_ports) {
        slice.fate = Fate::remove;
        slices.push_back(std::move(slice));
      }
    keep_placeholder(slices);
    take_over_names(slices);
    give_hints(type, slices);
    for (const auto& slice : slices) put(type, slice);
  }

  static std::vector<Value> ports_of(const Document& slice) {
    std::vector<Value> ports;
    for (const auto port : EndpointSlice(&slice.root()).ports()) {
      Value value = *port.value();
      value.growable = 0;
      ports.push_back(value);
    }
    return ports;
  }

  // A Service without endpoints has one slice that says so.
  void keep_placeholder(std::vector<WorkingSlice>& slices) {
    const bool is_empty =
        std::all_of(slices.begin(), slices.end(), [](const auto& one) { return one.fate == Fate::remove; });
    if (!is_empty) return;
    if (slices.size() == 1 && is_placeholder(slices[0]))
      slices[0].fate = Fate::unchanged;
    else
      slices.push_back(WorkingSlice::fresh({}));
  }
  bool is_placeholder(const WorkingSlice& slice) const {
    const EndpointSlice view(&slice.origin.root());
    const auto labels = view.metadata().labels();
    if (!view.endpoints().empty() || !view.ports().empty() || !is_owned_by(slice.origin, service_) ||
        labels.size() != labels_.size)
      return false;
    for (const auto& [key, value] : MapView<std::string_view>(&labels_))
      if (!labels.contains(key) || labels.get(key) != value) return false;
    return true;
  }

  // A slice that would go becomes the one that would be made: one write instead of two.
  void take_over_names(std::vector<WorkingSlice>& slices) {
    for (auto& old : slices) {
      if (old.fate != Fate::remove || !is_owned_by(old.origin, service_)) continue;
      const auto made = std::find_if(slices.begin(), slices.end(), [](const auto& one) {
        return one.fate == Fate::create && one.takes_over.empty();
      });
      if (made == slices.end()) return;
      made->takes_over = client::name_of(old.origin);
      old.fate = Fate::taken;
    }
  }

  void give_hints(std::string_view type, std::vector<WorkingSlice>& slices) {
    bool with_nodes = false;
    if (wants_topology(service_)) {
      tell(topology_.add_hints(arena_, key_, type, slices));
      return;
    }
    tell(topology_.drop(key_, type));
    if (wants_own_zones(service_, with_nodes))
      hint_own_zones(arena_, slices, with_nodes);
    else
      remove_hints(arena_, slices);
  }
  void tell(std::vector<SliceEvent> events) {
    std::move(events.begin(), events.end(), std::back_inserter(plan_.events));
  }

  void put(std::string_view type, const WorkingSlice& slice) {
    switch (slice.fate) {
      case Fate::unchanged:
      case Fate::taken:
        return;
      case Fate::remove:
        plan_.remove.push_back(slice.origin);
        return;
      case Fate::update:
        plan_.update.push_back(build(type, slice));
        return;
      case Fate::create:
        (slice.takes_over.empty() ? plan_.create : plan_.update).push_back(build(type, slice));
        return;
    }
  }

  Document build(std::string_view type, const WorkingSlice& slice) {
    client::ObjectBuilder builder(EndpointSlice::schema_type());
    Arena& arena = builder.arena();
    Value& root = builder.root();
    Value& metadata = set_field(arena, root, EndpointSlice::f_metadata);
    if (slice.origin)
      assign(metadata, deep_copy(arena, *slice.origin.root().get(EndpointSlice::f_metadata)));
    else
      assign(metadata, new_metadata(arena, slice.takes_over));
    assign(set_field(arena, metadata, Metadata::f_labels), deep_copy(arena, labels_));
    annotate(arena, metadata);
    set_string(arena, root, EndpointSlice::f_addressType, type);
    Value& endpoints = ensure(arena, root, EndpointSlice::f_endpoints, ValueKind::list);
    for (const Value& endpoint : slice.endpoints) append(arena, endpoints, endpoint);
    if (slice.origin) {
      take_field(arena, root, slice.origin.root(), EndpointSlice::f_ports);
    } else {
      Value& ports = ensure(arena, root, EndpointSlice::f_ports, ValueKind::list);
      for (const Value& port : slice.ports) append(arena, ports, port);
    }
    return builder.freeze();
  }

  Value new_metadata(Arena& arena, std::string_view name) const {
    Value metadata = Value::empty(ValueKind::structure);
    if (!name.empty()) set_string(arena, metadata, Metadata::f_name, name);
    set_string(arena, metadata, Metadata::f_generateName, slice_prefix(service_.metadata().name()));
    set_string(arena, metadata, Metadata::f_namespace_, service_.metadata().namespace_());
    append_controller_reference(arena, metadata, state_.service, "v1", "Service");
    return metadata;
  }

  void annotate(Arena& arena, Value& metadata) const {
    if (!state_.trigger_time.empty()) {
      Value& annotations = ensure(arena, metadata, Metadata::f_annotations, ValueKind::map);
      set_map_string(arena, annotations, trigger_time_annotation, state_.trigger_time);
    } else if (Value* annotations = metadata.get(Metadata::f_annotations)) {
      erase_key(*annotations, trigger_time_annotation);
      if (annotations->size == 0) erase_field(metadata, Metadata::f_annotations);
    }
  }

  const ServiceState& state_;
  const Service service_;
  Topology& topology_;
  const std::size_t limit_;
  Arena arena_;
  const Value labels_;
  const std::string key_ = client::object_key(state_.service);
  SlicePlan plan_;
};

}  // namespace

SlicePlan plan_endpoint_slices(const ServiceState& state, Topology& topology, std::size_t limit) {
  return Planner(state, topology, limit).plan();
}

}  // namespace rusternetes::controller_manager
