#include "api-server/strategy/service_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/service_addresses.h"
#include "api-server/strategy/service_fields.h"
#include "api-server/strategy/service_node_ports.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using core_v1::ServicePort;
using core_v1::ServiceSpec;

namespace {

Status refused(const StrategyContext& context, const FieldErrorList& errors) {
  return errors.to_status("", "Service", context.name);
}

std::vector<std::int64_t> ports_of(const ServiceSpec& spec) {
  std::vector<std::int64_t> out;
  for (const auto port : spec.ports())
    if (port.nodePort() != 0) out.push_back(port.nodePort());
  return out;
}

bool has(const std::vector<std::int64_t>& list, std::int64_t number) {
  return std::find(list.begin(), list.end(), number) != list.end();
}

// One request's work on one Service.
class Allocation {
 public:
  Allocation(const StrategyContext& context, Companions& companions)
      : context_(context), addresses_(context, companions), ports_(context, companions) {}

  Result<void> create(Value& object);
  Result<void> update(Value& object, const Value& old);
  Result<void> remove(const Value& old);
  void save() { ports_.save(); }

 private:
  Result<void> init_families(Value& object, const Value* old_spec);
  // Addresses for the families from the index-th on that have none or name one.
  Result<void> claim_addresses(Value& object, std::size_t from);
  Result<void> claim_ports(Value& spec);
  Result<void> claim_port(std::int64_t port, std::int64_t index);
  Result<void> update_ports(Value& spec, const ServiceSpec& old);
  Result<void> claim_health_check_port(Value& spec);

  const StrategyContext& context_;
  ServiceAddresses addresses_;
  NodePorts ports_;
};

Result<void> Allocation::init_families(Value& object, const Value* old_spec) {
  Value& spec = ensure(context_.arena, object, Service::f_spec);
  if (addresses_.families().empty() && needs_cluster_ip(ServiceSpec(&spec)))
    return internal_error("failed to allocate a serviceIP: there is no ServiceCIDR \"kubernetes\"");
  FieldErrorList errors;
  init_ip_families(context_.arena, spec, old_spec, addresses_.families(), errors);
  if (!errors.empty()) return refused(context_, errors);
  return {};
}

Result<void> Allocation::claim_addresses(Value& object, std::size_t from) {
  Arena& arena = context_.arena;
  const Service service(&object);
  Value& spec = *object.get(Service::f_spec);
  const ServiceSpec view(&spec);
  if (!needs_cluster_ip(view) || (!view.clusterIPs().empty() && view.clusterIPs()[0] == "None")) return {};
  const FieldPath path("spec");
  std::vector<std::string> chosen;
  for (std::size_t i = 0; i < view.ipFamilies().size(); ++i) {
    const std::string_view named = i < view.clusterIPs().size() ? view.clusterIPs()[i] : "";
    chosen.emplace_back(named);
    if (i < from) continue;
    if (named.empty()) {
      auto address = addresses_.claim_any(view.ipFamilies()[i], service);
      if (!address) return internal_error(fmt::format("failed to allocate a serviceIP: {}", address.error().message));
      chosen.back() = *address;
    } else if (auto claimed = addresses_.claim(named, service); !claimed) {
      std::string json = "[";
      for (const auto one : view.clusterIPs()) json += fmt::format("{}\"{}\"", json.size() > 1 ? "," : "", one);
      FieldErrorList errors;
      errors.push_back(field::invalid(path.child("clusterIPs"), BadValue::json(json + "]"), fmt::format("failed to allocate IP {}: {}", named, claimed.error().message)));
      return refused(context_, errors);
    }
  }
  Value list = Value::empty(ValueKind::list);
  for (const auto& address : chosen) append_string(arena, list, address);
  assign(set_field(arena, spec, ServiceSpec::f_clusterIPs), list);
  if (!chosen.empty()) set_string(arena, spec, ServiceSpec::f_clusterIP, chosen.front());
  return {};
}

Result<void> Allocation::claim_port(std::int64_t port, std::int64_t index) {
  auto claimed = ports_.claim(port);
  if (claimed) return {};
  const FieldPath path("spec");
  FieldErrorList errors;
  errors.push_back(field::invalid(path.child("ports").index(index).child("nodePort"), port, claimed.error().message));
  return refused(context_, errors);
}

// Entries that share a port number (of two protocols) share the node port, unless they name different ones.
Result<void> Allocation::claim_ports(Value& spec) {
  const ServiceSpec view(&spec);
  const bool is_allocating = view.type() == "NodePort" || view.allocateLoadBalancerNodePorts();
  std::map<std::int64_t, std::int64_t> by_port;
  std::int64_t index = -1;
  Result<void> outcome;
  each_item(spec, ServiceSpec::f_ports, [&](Value& item) {
    ++index;
    const ServicePort port(&item);
    if (!outcome || (port.nodePort() == 0 && !is_allocating)) return;
    const auto known = by_port.find(port.port());
    if (known != by_port.end()) {
      if (port.nodePort() == 0)
        set_integer(context_.arena, item, ServicePort::f_nodePort, known->second);
      else if (port.nodePort() != known->second)
        outcome = claim_port(port.nodePort(), index);
      return;
    }
    std::int64_t wanted = 0;
    for (const auto other : view.ports())
      if (wanted == 0 && other.port() == port.port()) wanted = other.nodePort();
    if (wanted != 0) {
      outcome = claim_port(wanted, index);
    } else if (auto any = ports_.claim_any()) {
      wanted = *any;
    } else {
      outcome = any.error();
    }
    if (!outcome) return;
    set_integer(context_.arena, item, ServicePort::f_nodePort, wanted);
    by_port[port.port()] = wanted;
  });
  return outcome;
}

Result<void> Allocation::claim_health_check_port(Value& spec) {
  const std::int64_t wanted = ServiceSpec(&spec).healthCheckNodePort();
  if (wanted != 0) {
    auto claimed = ports_.claim(wanted);
    if (claimed) return {};
    const auto message = fmt::format("failed to allocate requested HealthCheck NodePort {}: {}", wanted, claimed.error().message);
    auto details = std::make_shared<StatusDetails>();
    details->causes.push_back({"", message, ""});
    return Status{500, "InternalError", "Internal error occurred: " + message, std::move(details)};
  }
  RN_TRY(const std::int64_t port, ports_.claim_any());
  set_integer(context_.arena, spec, ServiceSpec::f_healthCheckNodePort, port);
  return {};
}

Result<void> Allocation::create(Value& object) {
  RN_CHECK(init_families(object, nullptr));
  RN_CHECK(claim_addresses(object, 0));
  Value& spec = *object.get(Service::f_spec);
  if (needs_node_port(ServiceSpec(&spec))) RN_CHECK(claim_ports(spec));
  if (needs_health_check_node_port(ServiceSpec(&spec))) RN_CHECK(claim_health_check_port(spec));
  return {};
}

Result<void> Allocation::update_ports(Value& spec, const ServiceSpec& old) {
  const ServiceSpec view(&spec);
  const std::vector<std::int64_t> before = ports_of(old);
  const bool is_allocating = view.type() == "NodePort" || (view.type() == "LoadBalancer" && view.allocateLoadBalancerNodePorts());
  std::vector<std::int64_t> claimed;
  std::int64_t index = -1;
  Result<void> outcome;
  if (needs_node_port(view)) {
    each_item(spec, ServiceSpec::f_ports, [&](Value& item) {
      ++index;
      const ServicePort port(&item);
      if (!outcome || (port.nodePort() == 0 && !is_allocating)) return;
      if (port.nodePort() == 0) {
        auto any = ports_.claim_any();
        if (!any)
          outcome = any.error();
        else
          set_integer(context_.arena, item, ServicePort::f_nodePort, *any);
      } else if (!has(before, port.nodePort()) && !has(claimed, port.nodePort())) {
        outcome = claim_port(port.nodePort(), index);
        claimed.push_back(port.nodePort());
      }
    });
    RN_CHECK(outcome);
  }
  const std::vector<std::int64_t> after = ports_of(ServiceSpec(&spec));
  for (const std::int64_t port : before)
    if (!has(after, port)) RN_CHECK(ports_.release(port));
  return {};
}

Result<void> Allocation::update(Value& object, const Value& old) {
  const Value* old_spec = old.get(Service::f_spec);
  const ServiceSpec then(old_spec);
  RN_CHECK(init_families(object, old_spec));
  Value& spec = *object.get(Service::f_spec);
  const ServiceSpec now(&spec);
  const bool had_addresses = needs_cluster_ip(then) && !is_headless(then);
  if (!needs_cluster_ip(then)) {
    RN_CHECK(claim_addresses(object, 0));
  } else if (had_addresses && !needs_cluster_ip(now)) {
    for (const auto address : then.clusterIPs()) addresses_.release(address);
  } else if (had_addresses && then.ipFamilies().size() < now.ipFamilies().size()) {
    RN_CHECK(claim_addresses(object, then.ipFamilies().size()));
  } else if (had_addresses && then.ipFamilies().size() == 2 && now.ipFamilies().size() == 1) {
    addresses_.release(then.clusterIPs()[1]);
  }
  RN_CHECK(update_ports(spec, then));
  const bool needed = needs_health_check_node_port(then), needs = needs_health_check_node_port(now);
  if (!needed && needs) RN_CHECK(claim_health_check_port(spec));
  if (needed && !needs) RN_CHECK(ports_.release(then.healthCheckNodePort()));
  return {};
}

Result<void> Allocation::remove(const Value& old) {
  const ServiceSpec spec(old.get(Service::f_spec));
  if (needs_cluster_ip(spec) && !is_headless(spec))
    for (const auto address : spec.clusterIPs())
      if (!address.empty()) addresses_.release(address);
  for (const std::int64_t port : ports_of(spec)) RN_CHECK(ports_.release(port));
  if (needs_health_check_node_port(spec) && spec.healthCheckNodePort() != 0) RN_CHECK(ports_.release(spec.healthCheckNodePort()));
  return {};
}

}  // namespace

Result<void> allocate_for_service(const StrategyContext& context, Companions& companions, Value* object, const Value* old) {
  Allocation allocation(context, companions);
  if (!object)
    RN_CHECK(allocation.remove(*old));
  else if (old)
    RN_CHECK(allocation.update(*object, *old));
  else
    RN_CHECK(allocation.create(*object));
  allocation.save();
  return {};
}

}  // namespace rusternetes::api_server
