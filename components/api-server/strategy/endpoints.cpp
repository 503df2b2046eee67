// Endpoints (pkg/registry/core/endpoint).

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/service_fields.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Endpoints;
using core_v1::EndpointPort;
using core_v1::EndpointSubset;

namespace {

void check_addresses(const ListView<core_v1::EndpointAddress>& addresses, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto address : addresses) {
    const FieldPath at = path.index(i++);
    errors.push_invalid(at.child("ip"), address.ip(), is_valid_ip_legacy(address.ip()));
    if (!address.hostname().empty()) check_dns_label(address.hostname(), at.child("hostname"), errors);
    if (address.has_nodeName()) check_dns_subdomain(address.nodeName(), at.child("nodeName"), errors);
    validate_endpoint_ip(address.ip(), at.child("ip"), errors);
  }
}

void check_port(const EndpointPort& port, bool needs_name, const FieldPath& path, FieldErrorList& errors) {
  if (!port.name().empty())
    check_dns_label(port.name(), path.child("name"), errors);
  else if (needs_name)
    errors.push_back(field::required(path.child("name")));
  for (const auto& problem : is_valid_port_num(port.port())) errors.push_back(field::invalid(path.child("port"), port.port(), problem));
  check_enum(port.protocol(), path.child("protocol"), {"SCTP", "TCP", "UDP"}, errors);
  if (port.has_appProtocol()) check_qualified_name(port.appProtocol(), path.child("appProtocol"), errors);
}

void check_subsets(const Endpoints& endpoints, FieldErrorList& errors) {
  const FieldPath list("subsets");
  std::int64_t i = 0;
  for (const auto subset : endpoints.subsets()) {
    const FieldPath at = list.index(i++), ports = at.child("ports");
    if (subset.addresses().empty() && subset.notReadyAddresses().empty())
      errors.push_back(field::required(at, "must specify `addresses` or `notReadyAddresses`"));
    check_addresses(subset.addresses(), at.child("addresses"), errors);
    check_addresses(subset.notReadyAddresses(), at.child("notReadyAddresses"), errors);
    std::int64_t n = 0;
    for (const auto port : subset.ports()) check_port(port, subset.ports().size() > 1, ports.index(n++), errors);
  }
}

// Kubernetes' own controller writes addresses as they should be.
void warn_about_addresses(const Endpoints& endpoints, Warnings& warnings) {
  if (endpoints.metadata().labels().get("endpoints.kubernetes.io/managed-by") == "endpoint-controller") return;
  const FieldPath list("subsets");
  const auto warn = [&](const ListView<core_v1::EndpointAddress>& addresses, const FieldPath& path) {
    std::int64_t i = 0;
    for (const auto address : addresses) {
      const FieldPath at = path.index(i++);
      warn_about_ip(address.ip(), at.child("ip"), warnings);
    }
  };
  std::int64_t i = 0;
  for (const auto subset : endpoints.subsets()) {
    const FieldPath at = list.index(i++);
    warn(subset.addresses(), at.child("addresses"));
    warn(subset.notReadyAddresses(), at.child("notReadyAddresses"));
  }
}

class EndpointsStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    each_item(object, Endpoints::f_subsets, [&](Value& subset) {
      each_item(subset, EndpointSubset::f_ports, [&](Value& port) { default_text(arena, port, EndpointPort::f_protocol, "TCP"); });
    });
  }
  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    check_subsets(Endpoints(&object), errors);
    if (errors.empty() && context.warnings) warn_about_addresses(Endpoints(&object), *context.warnings);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    // What was stored stays valid.
    if (!is_same_loosely(object.get(Endpoints::f_subsets), old.get(Endpoints::f_subsets))) check_subsets(Endpoints(&object), errors);
    if (errors.empty() && context.warnings) warn_about_addresses(Endpoints(&object), *context.warnings);
  }
  bool allows_create_on_update() const override { return true; }
};

}  // namespace

const Strategy& endpoints_strategy() {
  static const EndpointsStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
