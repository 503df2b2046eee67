#include "controller-manager/endpoint_slice_mirroring_plan.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "apimachinery/cidr.h"
#include "client/object_builder.h"
#include "controller-manager/endpoint_slice_endpoints.h"
#include "controller-manager/endpoints_plan.h"
#include "controller-manager/endpoints_subsets.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::EndpointAddress;
using core_v1::Endpoints;
using discovery_v1::Endpoint;
using discovery_v1::EndpointPort;
using discovery_v1::EndpointSlice;
using Metadata = meta_v1::ObjectMeta;

namespace {

bool is_copied_annotation(std::string_view key) {
  return key != trigger_time_annotation && key != "kubectl.kubernetes.io/last-applied-configuration";
}

// One slice: what has one address type and one list of ports.
struct Desired {
  std::string_view type;
  std::vector<Value> ports;
  std::vector<Value> endpoints;
  std::unordered_map<std::string, std::size_t> places;
  // Of the same endpoint the last one stands.
  void put(const Value& endpoint) {
    const auto [it, is_new] = places.try_emplace(endpoint_key(Endpoint(&endpoint)), endpoints.size());
    if (is_new)
      endpoints.push_back(endpoint);
    else
      endpoints[it->second] = endpoint;
  }
};

std::vector<Value> ports_of(Arena& arena, const ListView<core_v1::EndpointPort>& ports) {
  std::vector<Value> out;
  for (const auto port : ports) {
    Value& value = out.emplace_back(Value::empty(ValueKind::structure));
    set_string(arena, value, EndpointPort::f_name, port.name());
    set_string(arena, value, EndpointPort::f_protocol, port.protocol());
    set_integer(arena, value, EndpointPort::f_port, port.port());
    if (port.has_appProtocol()) set_string(arena, value, EndpointPort::f_appProtocol, port.appProtocol());
  }
  return out;
}

Value endpoint_of(Arena& arena, const EndpointAddress& address, const IpAddress& ip, bool is_ready) {
  Value value = Value::empty(ValueKind::structure);
  append_string(arena, ensure(arena, value, Endpoint::f_addresses, ValueKind::list), ip.to_string());
  set_boolean(arena, ensure(arena, value, Endpoint::f_conditions), discovery_v1::EndpointConditions::f_ready,
              is_ready);
  if (!address.hostname().empty()) set_string(arena, value, Endpoint::f_hostname, address.hostname());
  if (address.has_targetRef())
    assign(set_field(arena, value, Endpoint::f_targetRef), deep_copy(arena, *address.targetRef().value()));
  if (address.has_nodeName()) set_string(arena, value, Endpoint::f_nodeName, address.nodeName());
  return value;
}

class MirrorPlanner {
 public:
  MirrorPlanner(const Document& endpoints, std::size_t limit)
      : document_(endpoints), view_(&endpoints.root()), limit_(limit) {}

  MirrorPlan plan(const std::vector<Document>& slices) {
    collect();
    std::map<std::string, std::vector<Document>> there;
    for (const auto& slice : slices) {
      const EndpointSlice view(&slice.root());
      std::vector<Value> ports;
      for (const auto port : view.ports()) ports.push_back(*port.value());
      there[key_for(view.addressType(), port_key(ports))].push_back(slice);
    }
    std::vector<const Desired*> fresh;
    for (const auto& [key, desired] : desired_) {
      const auto it = there.find(key);
      if (desired.endpoints.empty()) continue;  // what is there goes
      if (it == there.end()) {
        fresh.push_back(&desired);
        continue;
      }
      // One slice holds them all.
      const Document first = it->second.front();
      it->second.erase(it->second.begin());
      if (!is_right(first, desired)) plan_.update.push_back(build(desired, client::name_of(first)));
    }
    std::vector<Document> going;
    for (auto& [key, left] : there) going.insert(going.end(), left.begin(), left.end());
    for (const Desired* desired : fresh) {  // one that would go becomes the new one
      const auto old = std::find_if(going.begin(), going.end(), [&](const Document& slice) {
        return EndpointSlice(&slice.root()).addressType() == desired->type;
      });
      if (old == going.end()) {
        plan_.create.push_back(build(*desired, {}));
      } else {
        plan_.update.push_back(build(*desired, client::name_of(*old)));
        going.erase(old);
      }
    }
    plan_.remove = std::move(going);
    return std::move(plan_);
  }

 private:
  static std::string key_for(std::string_view type, std::string_view ports) {
    return fmt::format("{}-{}", type, ports);
  }

  void collect() {
    std::size_t invalid = 0, skipped = 0;
    for (const Value& value : repack_subsets(arena_, view_.subsets())) {
      const core_v1::EndpointSubset subset(&value);
      std::vector<Value> ports = ports_of(arena_, subset.ports());
      const std::string key = port_key(ports);
      std::size_t added = 0;
      auto add = [&](const EndpointAddress& address, bool is_ready) {
        if (added >= limit_) return;
        const auto parsed = IpAddress::parse_sloppy(address.ip());
        if (!parsed) {
          ++invalid;
          return;
        }
        ++added;
        const IpAddress ip = parsed->unmap();
        const std::string_view type = ip.is_v4() ? "IPv4" : "IPv6";
        Desired& desired = desired_[key_for(type, key)];
        desired.type = type;
        desired.ports = ports;
        desired.put(endpoint_of(arena_, address, ip, is_ready));
      };
      for (const auto address : subset.addresses()) add(address, true);
      for (const auto address : subset.notReadyAddresses()) add(address, false);
      skipped += subset.addresses().size() + subset.notReadyAddresses().size() - added;
    }
    if (invalid > 0)
      plan_.events.push_back(
          {true, "InvalidIPAddress",
           fmt::format("Skipped {} invalid IP addresses when mirroring to EndpointSlices", invalid)});
    if (skipped > invalid)
      plan_.events.push_back({true, "TooManyAddressesToMirror",
                              fmt::format("A max of {} addresses can be mirrored to EndpointSlices per "
                                          "Endpoints subset. {} addresses were skipped",
                                          limit_, skipped)});
    for (auto& [key, desired] : desired_)
      if (desired.endpoints.size() > limit_) desired.endpoints.resize(limit_);
  }

  Value labels(Arena& arena) const {
    Value labels = Value::empty(ValueKind::map);
    for (const auto& [key, value] : view_.metadata().labels()) set_map_string(arena, labels, key, value);
    set_map_string(arena, labels, service_name_label, view_.metadata().name());
    set_map_string(arena, labels, slice_managed_by_label, mirroring_controller);
    return labels;
  }
  Value annotations(Arena& arena) const {
    Value annotations = Value::empty(ValueKind::map);
    for (const auto& [key, value] : view_.metadata().annotations())
      if (is_copied_annotation(key)) set_map_string(arena, annotations, key, value);
    return annotations;
  }

  static bool is_same_map(const MapView<std::string_view>& has, const Value& wanted) {
    const MapView<std::string_view> wants(&wanted);
    if (has.size() != wants.size()) return false;
    for (const auto& [key, value] : wants)
      if (!has.contains(key) || has.get(key) != value) return false;
    return true;
  }

  bool is_right(const Document& slice, const Desired& desired) {
    const EndpointSlice view(&slice.root());
    if (view.endpoints().size() != desired.endpoints.size()) return false;
    for (const auto endpoint : view.endpoints()) {
      const auto it = desired.places.find(endpoint_key(endpoint));
      if (it == desired.places.end() || it->second >= desired.endpoints.size() ||
          !is_same_endpoint(endpoint, Endpoint(&desired.endpoints[it->second])))
        return false;
    }
    for (const auto owner : view.metadata().ownerReferences())  // of Endpoints that were made anew
      if (owner.kind() == "Endpoints" && owner.name() == view_.metadata().name() &&
          owner.uid() != view_.metadata().uid())
        return false;
    return is_same_map(view.metadata().labels(), labels(arena_)) &&
           is_same_map(view.metadata().annotations(), annotations(arena_));
  }

  Document build(const Desired& desired, std::string_view name) const {
    client::ObjectBuilder builder(EndpointSlice::schema_type());
    Arena& arena = builder.arena();
    Value& root = builder.root();
    Value& metadata = ensure(arena, root, EndpointSlice::f_metadata);
    if (name.empty())
      set_string(arena, metadata, Metadata::f_generateName, slice_prefix(view_.metadata().name()));
    else
      set_string(arena, metadata, Metadata::f_name, name);
    set_string(arena, metadata, Metadata::f_namespace_, view_.metadata().namespace_());
    assign(set_field(arena, metadata, Metadata::f_labels), labels(arena));
    if (const Value copied = annotations(arena); copied.size > 0)
      assign(set_field(arena, metadata, Metadata::f_annotations), copied);
    append_controller_reference(arena, metadata, document_, "v1", "Endpoints");
    set_string(arena, root, EndpointSlice::f_addressType, desired.type);
    Value& endpoints = ensure(arena, root, EndpointSlice::f_endpoints, ValueKind::list);
    for (const Value& endpoint : desired.endpoints) append(arena, endpoints, endpoint);
    Value& ports = ensure(arena, root, EndpointSlice::f_ports, ValueKind::list);
    for (const Value& port : desired.ports) append(arena, ports, port);
    return builder.freeze();
  }

  const Document& document_;
  const Endpoints view_;
  const std::size_t limit_;
  Arena arena_;
  std::map<std::string, Desired> desired_;  // by address type and ports
  MirrorPlan plan_;
};

}  // namespace

bool should_mirror(const Document& endpoints) {
  const auto metadata = metadata_of(endpoints);
  return metadata.labels().get("endpointslice.kubernetes.io/skip-mirror") != "true" &&
         !metadata.annotations().contains(leader_annotation);
}

MirrorPlan plan_mirrored_slices(const Document& endpoints, const std::vector<Document>& slices,
                                std::size_t limit) {
  return MirrorPlanner(endpoints, limit).plan(slices);
}

}  // namespace rusternetes::controller_manager
