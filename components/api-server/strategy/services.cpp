// Services (pkg/registry/core/service); what they claim is in service_allocation.cpp.

#include <fmt/format.h>

#include "api-server/companions.h"
#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/service_allocation.h"
#include "api-server/strategy/service_fields.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using core_v1::ServicePort;
using core_v1::ServiceSpec;
using core_v1::ServiceStatus;

namespace {

void set_affinity_defaults(Arena& arena, Value& spec) {
  default_text(arena, spec, ServiceSpec::f_sessionAffinity, "None");
  const ServiceSpec view(&spec);
  if (view.sessionAffinity() == "None") erase_field(spec, ServiceSpec::f_sessionAffinityConfig);
  if (view.sessionAffinity() != "ClientIP" || view.sessionAffinityConfig().clientIP().has_timeoutSeconds()) return;
  Value& config = ensure(arena, spec, ServiceSpec::f_sessionAffinityConfig);
  Value& client = ensure(arena, config, core_v1::SessionAffinityConfig::f_clientIP);
  set_integer(arena, client, core_v1::ClientIPConfig::f_timeoutSeconds, 10800);
}

void set_port_defaults(Arena& arena, Value& port) {
  default_text(arena, port, ServicePort::f_protocol, "TCP");
  const Value* target = port.get(ServicePort::f_targetPort);
  const bool is_empty = !target || (target->kind == ValueKind::string ? target->size == 0 : target->integer == 0);
  const std::int64_t number = ServicePort(&port).port();
  if (is_empty && number != 0) set_integer(arena, port, ServicePort::f_targetPort, number);
}

void set_ingress_modes(Arena& arena, Value& object) {
  Value* status = object.get(Service::f_status);
  Value* balancer = status ? status->get(ServiceStatus::f_loadBalancer) : nullptr;
  if (!balancer) return;
  each_item(*balancer, core_v1::LoadBalancerStatus::f_ingress, [&](Value& ingress) {
    if (!core_v1::LoadBalancerIngress(&ingress).ip().empty()) default_text(arena, ingress, core_v1::LoadBalancerIngress::f_ipMode, "VIP");
  });
}

// Kubernetes shows none of an ExternalName, whatever was sent; what is wrong is left for validation to refuse.
void drop_internal_policy(Value& spec) {
  const ServiceSpec view(&spec);
  if (view.type() == "ExternalName" && is_any_of(view.internalTrafficPolicy(), {"Cluster", "Local"}))
    erase_field(spec, ServiceSpec::f_internalTrafficPolicy);
}

class ServiceStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, Service::f_spec);
    set_affinity_defaults(arena, spec);
    default_text(arena, spec, ServiceSpec::f_type, "ClusterIP");
    each_item(spec, ServiceSpec::f_ports, [&](Value& port) { set_port_defaults(arena, port); });
    const ServiceSpec view(&spec);
    if (is_externally_accessible(view)) default_text(arena, spec, ServiceSpec::f_externalTrafficPolicy, "Cluster");
    if (needs_node_port(view) || view.type() == "ClusterIP") default_text(arena, spec, ServiceSpec::f_internalTrafficPolicy, "Cluster");
    if (view.type() != "LoadBalancer") return;
    default_boolean(arena, spec, ServiceSpec::f_allocateLoadBalancerNodePorts, true);
    set_ingress_modes(arena, object);
  }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    erase_field(object, Service::f_status);
    normalize_cluster_ips(context.arena, ensure(context.arena, object, Service::f_spec), nullptr);
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    Arena& arena = context.arena;
    take_field(arena, object, old, Service::f_status);
    Value& spec = ensure(arena, object, Service::f_spec);
    const Value& old_spec = *old.get(Service::f_spec);
    keep_allocated_values(arena, spec, old_spec);
    normalize_cluster_ips(arena, spec, &old_spec);
    drop_fields_of_old_type(spec, old_spec);
    if (ServiceSpec(&spec).type() == "LoadBalancer") return;
    if (Value* status = object.get(Service::f_status); status && status->get(ServiceStatus::f_loadBalancer)) {
      assign(*status, copy_level(arena, *status));
      erase_field(*status, ServiceStatus::f_loadBalancer);
      if (status->size == 0) erase_field(object, Service::f_status);
    }
  }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    validate_service(Service(&object), {}, errors);
    if (errors.empty() && context.warnings) warn_about_service(Service(&object), *context.warnings);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate_service_update(Service(&object), Service(&old), errors);
    if (errors.empty() && context.warnings) warn_about_service(Service(&object), *context.warnings);
  }
  void validate_status_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate_load_balancer_status(Service(&object), Service(&old), errors);
    if (errors.empty() && context.warnings) warn_about_service_status(Service(&object), *context.warnings);
  }

  bool has_claims() const override { return true; }
  std::vector<std::string> claimed_keys() const override { return {std::string(node_port_range_key)}; }
  Result<void> claim(const StrategyContext& context, Companions& companions, Value* object, const Value* old) const override {
    // With the Service go its Endpoints: one of the same name made later must not begin with old addresses.
    if (!object && !companions.is_dry_run())
      companions.remove(*companions.registry().find_kind("v1", "Endpoints"), fmt::format("{}/{}", context.name_space, context.name));
    if (object) drop_internal_policy(*object->get(Service::f_spec));
    return allocate_for_service(context, companions, object, old);
  }

  std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const override {
    return is_dns1035_label(is_prefix ? mask_trailing_dash(name) : std::string(name));
  }
  bool allows_create_on_update() const override { return true; }
  bool returns_deleted_object() const override { return true; }
  std::vector<std::string_view> selectable_fields() const override { return {"spec.clusterIP", "spec.type"}; }
  std::string selectable_field(const Value& object, std::string_view field) const override {
    const ServiceSpec spec = Service(&object).spec();
    return std::string(field == "spec.type" ? spec.type() : spec.clusterIP());
  }
};

}  // namespace

const Strategy& services_strategy() {
  static const ServiceStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
