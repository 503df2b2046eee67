// EndpointSlices (pkg/registry/discovery/endpointslice).

#include <fmt/format.h>

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/service_fields.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/cidr.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using discovery_v1::Endpoint;
using discovery_v1::EndpointPort;
using discovery_v1::EndpointSlice;
using meta_v1::ObjectMeta;

namespace {

std::string joined(const Messages& messages) {
  std::string out;
  for (const auto& message : messages) out += (out.empty() ? "" : ",") + message;
  return out;
}

void check_domain_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  if (name.empty()) {
    errors.push_back(field::required(path));
    return;
  }
  if (name.ends_with('.')) name.remove_suffix(1);
  if (const auto problems = is_dns1123_subdomain(name); !problems.empty()) {
    errors.push_back(field::invalid(path, name, joined(problems)));
    return;
  }
  if (name.find('.') == std::string_view::npos) {
    errors.push_back(field::invalid(path, name, "should be a domain with at least two segments separated by dots"));
    return;
  }
  while (true) {
    const auto dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (const auto problems = is_dns1123_label(label); !problems.empty()) errors.push_back(field::invalid(path, label, joined(problems)));
    if (dot == std::string_view::npos) return;
    name.remove_prefix(dot + 1);
  }
}

void check_ip(std::string_view address, bool wants_v4, const FieldPath& list, std::int64_t i, FieldErrorList& errors) {
  const auto problems = wants_v4 ? is_valid_ip_legacy(address) : is_valid_ip(address);
  errors.push_invalid(list.index(i), address, problems);
  if (!problems.empty()) return;
  const auto ip = IpAddress::parse_sloppy(address);
  if (ip && ip->unmap().is_v4() != wants_v4)
    errors.push_back(field::invalid(list, address, wants_v4 ? "must be an IPv4 address" : "must be an IPv6 address"));
  validate_endpoint_ip(address, list.index(i), errors);
}

// forZones and forNodes: few, each once.
template <class List, class Check>
void check_hint_names(const List& list, const FieldPath& path, FieldErrorList& errors, Check&& check) {
  if (list.size() > 8) errors.push_back(field::too_many(path, static_cast<std::int64_t>(list.size()), 8));
  TextSet names;
  std::int64_t i = 0;
  for (const auto one : list) {
    const FieldPath item = path.index(i++), at = item.child("name");
    if (!names.insert(one.name())) errors.push_back(field::duplicate(at, one.name()));
    errors.push_invalid(at, one.name(), check(one.name()));
  }
}

void check_endpoint(const Endpoint& endpoint, std::string_view type, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath list = path.child("addresses"), topology = path.child("deprecatedTopology"), hints = path.child("hints");
  const auto addresses = endpoint.addresses();
  if (addresses.empty())
    errors.push_back(field::required(list, "must contain at least 1 address"));
  else if (addresses.size() > 100)
    errors.push_back(field::too_many(list, static_cast<std::int64_t>(addresses.size()), 100));
  std::int64_t i = -1;
  for (const auto address : addresses) {
    ++i;
    if (type == "IPv4" || type == "IPv6")
      check_ip(address, type == "IPv4", list, i, errors);
    else if (type == "FQDN")
      check_domain_name(address, list.index(i), errors);
  }
  if (endpoint.has_nodeName()) check_dns_subdomain(endpoint.nodeName(), path.child("nodeName"), errors);
  if (endpoint.deprecatedTopology().size() > 16)
    errors.push_back(field::too_many(topology, static_cast<std::int64_t>(endpoint.deprecatedTopology().size()), 16));
  check_labels(endpoint.deprecatedTopology(), topology, errors);
  if (endpoint.has_hostname()) check_dns_label(endpoint.hostname(), path.child("hostname"), errors);
  check_hint_names(endpoint.hints().forZones(), hints.child("forZones"), errors, [](auto name) { return is_valid_label_value(name); });
  check_hint_names(endpoint.hints().forNodes(), hints.child("forNodes"), errors, [](auto name) { return is_dns1123_subdomain(name); });
}

void check_ports(const EndpointSlice& slice, FieldErrorList& errors) {
  const FieldPath list("ports");
  if (slice.ports().size() > 20000) errors.push_back(field::too_many(list, static_cast<std::int64_t>(slice.ports().size()), 20000));
  TextSet names;
  std::int64_t i = 0;
  for (const auto port : slice.ports()) {
    const FieldPath at = list.index(i++);
    if (!port.name().empty()) check_dns_label(port.name(), at.child("name"), errors);
    if (!names.insert(port.name())) errors.push_back(field::duplicate(at.child("name"), port.name()));
    if (!port.has_protocol())
      errors.push_back(field::required(at.child("protocol")));
    else
      check_supported(port.protocol(), at.child("protocol"), {"SCTP", "TCP", "UDP"}, errors);
    if (port.has_appProtocol()) check_qualified_name(port.appProtocol(), at.child("appProtocol"), errors);
  }
}

void check_endpoints(const EndpointSlice& slice, FieldErrorList& errors) {
  const FieldPath list("endpoints");
  if (slice.endpoints().size() > 1000) errors.push_back(field::too_many(list, static_cast<std::int64_t>(slice.endpoints().size()), 1000));
  std::int64_t i = 0;
  for (const auto endpoint : slice.endpoints()) check_endpoint(endpoint, slice.addressType(), list.index(i++), errors);
}

// The v1 API does not take deprecatedTopology.
void drop_topology(Value& object) {
  each_item(object, EndpointSlice::f_endpoints, [](Value& endpoint) { erase_field(endpoint, Endpoint::f_deprecatedTopology); });
}

// Kubernetes' own controllers write addresses as they should be: no look at each of thousands.
void warn_about_addresses(const EndpointSlice& slice, Warnings& warnings) {
  const auto manager = slice.metadata().labels().get("endpointslice.kubernetes.io/managed-by");
  if (is_any_of(manager, {"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"})) return;
  const FieldPath list("endpoints");
  std::int64_t i = 0;
  for (const auto endpoint : slice.endpoints()) {
    const FieldPath at = list.index(i++), addresses = at.child("addresses");
    std::int64_t n = 0;
    for (const auto address : endpoint.addresses()) warn_about_ip(address, addresses.index(n++), warnings);
  }
}

class EndpointSliceStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    each_item(object, EndpointSlice::f_ports, [&](Value& port) {
      default_text(arena, port, EndpointPort::f_name, "");
      default_text(arena, port, EndpointPort::f_protocol, "TCP");
    });
  }
  bool has_generation() const override { return true; }
  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    set_generation(context, object, 1);
    drop_topology(object);
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    raise_generation(context, object, old);
    const ObjectMeta now = EndpointSlice(&object).metadata(), then = EndpointSlice(&old).metadata();
    if (!is_same_loosely(now.labels().value(), then.labels().value())) set_generation(context, object, then.generation() + 1);
    if (!is_same_loosely(object.get(EndpointSlice::f_endpoints), old.get(EndpointSlice::f_endpoints))) drop_topology(object);
  }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    check_slice(object, nullptr, errors);
    if (!errors.empty() || !context.warnings) return;
    if (EndpointSlice(&object).addressType() == "FQDN") context.warnings->add("spec.addressType: FQDN endpoints are deprecated");
    warn_about_addresses(EndpointSlice(&object), *context.warnings);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    check_slice(object, &old, errors);
    const EndpointSlice now(&object), then(&old);
    if (now.addressType() != then.addressType())
      errors.push_back(field::invalid(FieldPath("addressType"), now.addressType(), field_is_immutable));
    if (errors.empty() && context.warnings) warn_about_addresses(now, *context.warnings);
  }

 private:
  static void check_slice(const Value& object, const Value* old, FieldErrorList& errors) {
    const EndpointSlice slice(&object);
    check_enum(slice.addressType(), FieldPath("addressType"), {"FQDN", "IPv4", "IPv6"}, errors);
    check_ports(slice, errors);
    const int endpoints = EndpointSlice::f_endpoints;
    if (!old || !is_same_loosely(object.get(endpoints), old->get(endpoints))) check_endpoints(slice, errors);
  }
};

}  // namespace

const Strategy& endpointslices_strategy() {
  static const EndpointSliceStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
