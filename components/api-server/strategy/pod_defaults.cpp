#include "api-server/strategy/pod_defaults.h"

#include <array>

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/image_reference.h"
#include "api-server/strategy/pod_resources.h"
#include "api-server/strategy/volume_defaults.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::Pod;
using core_v1::PodSpec;
using core_v1::PodStatus;
using meta_v1::ObjectMeta;

// What is written for Container serves both: their fields lie alike.
static_assert(core_v1::EphemeralContainer::f_name == Container::f_name);
static_assert(core_v1::EphemeralContainer::f_resources == Container::f_resources);
static_assert(core_v1::EphemeralContainer::f_tty == Container::f_tty);

namespace {

void set_http_get_defaults(Arena& arena, Value* handler, int field) {
  Value* http = handler ? handler->get(field) : nullptr;
  if (!http) return;
  default_text(arena, *http, core_v1::HTTPGetAction::f_path, "/");
  default_text(arena, *http, core_v1::HTTPGetAction::f_scheme, "HTTP");
}

void set_probe_defaults(Arena& arena, Value* probe) {
  if (!probe) return;
  using core_v1::Probe;
  default_integer(arena, *probe, Probe::f_timeoutSeconds, 1);
  default_integer(arena, *probe, Probe::f_periodSeconds, 10);
  default_integer(arena, *probe, Probe::f_successThreshold, 1);
  default_integer(arena, *probe, Probe::f_failureThreshold, 3);
  set_http_get_defaults(arena, probe, Probe::f_httpGet);
  if (Value* grpc = probe->get(Probe::f_grpc)) default_text(arena, *grpc, core_v1::GRPCAction::f_service, "");
}

void set_env_defaults(Arena& arena, Value& container) {
  each_item(container, Container::f_env, [&](Value& variable) {
    Value* source = variable.get(core_v1::EnvVar::f_valueFrom);
    if (!source) return;
    if (Value* reference = source->get(core_v1::EnvVarSource::f_fieldRef))
      set_field_reference_defaults(arena, *reference);
    if (Value* key = source->get(core_v1::EnvVarSource::f_fileKeyRef))
      default_boolean(arena, *key, core_v1::FileKeySelector::f_optional, false);
  });
}

void set_container_defaults(Arena& arena, Value& container) {
  if (!container.get(Container::f_imagePullPolicy))
    default_text(arena, container, Container::f_imagePullPolicy,
                 is_latest_image(Container(&container).image()) ? "Always" : "IfNotPresent");
  default_text(arena, container, Container::f_terminationMessagePath, "/dev/termination-log");
  default_text(arena, container, Container::f_terminationMessagePolicy, "File");
  each_item(container, Container::f_ports,
            [&](Value& port) { default_text(arena, port, core_v1::ContainerPort::f_protocol, "TCP"); });
  set_env_defaults(arena, container);
  if (Value* resources = container.get(Container::f_resources)) {
    round_resource_list(arena, *resources, core_v1::ResourceRequirements::f_limits);
    round_resource_list(arena, *resources, core_v1::ResourceRequirements::f_requests);
  }
  for (const int probe : {Container::f_livenessProbe, Container::f_readinessProbe, Container::f_startupProbe})
    set_probe_defaults(arena, container.get(probe));
  if (Value* lifecycle = container.get(Container::f_lifecycle))
    for (const int handler : {core_v1::Lifecycle::f_postStart, core_v1::Lifecycle::f_preStop})
      set_http_get_defaults(arena, lifecycle->get(handler), core_v1::LifecycleHandler::f_httpGet);
}

// The older name of the field says the same as the newer one, which wins.
void unify_service_account(Arena& arena, Value& spec) {
  const PodSpec view(&spec);
  const std::string_view name = view.serviceAccountName().empty() ? view.serviceAccount() : view.serviceAccountName();
  if (name.empty()) return;
  if (view.serviceAccountName() != name) set_string(arena, spec, PodSpec::f_serviceAccountName, name);
  if (PodSpec(&spec).serviceAccount() != name) set_string(arena, spec, PodSpec::f_serviceAccount, name);
}

void drop_init_container_annotations(Value* metadata) {
  static constexpr std::array<std::string_view, 4> keys{
      "pod.beta.kubernetes.io/init-containers", "pod.alpha.kubernetes.io/init-containers",
      "pod.beta.kubernetes.io/init-container-statuses", "pod.alpha.kubernetes.io/init-container-statuses"};
  Value* annotations = metadata ? metadata->get(ObjectMeta::f_annotations) : nullptr;
  if (!annotations || annotations->size == 0) return;
  for (const std::string_view key : keys) erase_key(*annotations, key);
  if (annotations->size == 0) erase_field(*metadata, ObjectMeta::f_annotations);
}

void default_requests_to_limits(Arena& arena, Value& container) {
  Value* resources = container.get(Container::f_resources);
  if (!resources) return;
  fill_resource_list(arena, *resources, core_v1::ResourceRequirements::f_requests,
                     resources->get(core_v1::ResourceRequirements::f_limits));
}

void default_host_ports(Arena& arena, Value& container) {
  each_item(container, Container::f_ports, [&](Value& port) {
    if (const std::int64_t number = core_v1::ContainerPort(&port).containerPort())
      default_integer(arena, port, core_v1::ContainerPort::f_hostPort, number);
  });
}

// podIP and podIPs[0] are the same; what the singular field says counts.
void unify_pod_ips(Arena& arena, Value& status) {
  const PodStatus view(&status);
  const std::string_view single = view.podIP();
  const std::string_view first = view.podIPs().empty() ? std::string_view{} : view.podIPs()[0].ip();
  if (single == first) return;
  if (single.empty()) {
    set_string(arena, status, PodStatus::f_podIP, first);
    return;
  }
  Value list = Value::empty(ValueKind::list);
  set_string(arena, append_structure(arena, list), core_v1::PodIP::f_ip, single);
  assign(set_field(arena, status, PodStatus::f_podIPs), list);
}

}  // namespace

void set_claim_spec_defaults(Arena& arena, Value& spec) {
  using core_v1::PersistentVolumeClaimSpec;
  default_text(arena, spec, PersistentVolumeClaimSpec::f_volumeMode, "Filesystem");
  if (Value* resources = spec.get(PersistentVolumeClaimSpec::f_resources)) {
    round_resource_list(arena, *resources, core_v1::VolumeResourceRequirements::f_limits);
    round_resource_list(arena, *resources, core_v1::VolumeResourceRequirements::f_requests);
  }
}

void set_pod_spec_defaults(Arena& arena, Value& spec) {
  default_text(arena, spec, PodSpec::f_dnsPolicy, "ClusterFirst");
  default_text(arena, spec, PodSpec::f_restartPolicy, "Always");
  default_integer(arena, spec, PodSpec::f_terminationGracePeriodSeconds, 30);
  default_text(arena, spec, PodSpec::f_schedulerName, "default-scheduler");
  ensure(arena, spec, PodSpec::f_securityContext);
  each_item(spec, PodSpec::f_volumes, [&](Value& volume) { set_volume_defaults(arena, volume); });
  for (const int list : {PodSpec::f_initContainers, PodSpec::f_containers, PodSpec::f_ephemeralContainers})
    each_item(spec, list, [&](Value& container) { set_container_defaults(arena, container); });
  round_resource_list(arena, spec, PodSpec::f_overhead);
  if (Value* resources = spec.get(PodSpec::f_resources)) {
    round_resource_list(arena, *resources, core_v1::ResourceRequirements::f_limits);
    round_resource_list(arena, *resources, core_v1::ResourceRequirements::f_requests);
  }
  unify_service_account(arena, spec);
}

void set_pod_template_defaults(Arena& arena, Value& template_) {
  using core_v1::PodTemplateSpec;
  set_pod_spec_defaults(arena, ensure(arena, template_, PodTemplateSpec::f_spec));
  drop_init_container_annotations(template_.get(PodTemplateSpec::f_metadata));
}

void set_pod_defaults(Arena& arena, Value& pod) {
  Value& spec = ensure(arena, pod, Pod::f_spec);
  for (const int list : {PodSpec::f_initContainers, PodSpec::f_containers})
    each_item(spec, list, [&](Value& container) { default_requests_to_limits(arena, container); });
  set_pod_level_resource_defaults(arena, spec);
  default_boolean(arena, spec, PodSpec::f_enableServiceLinks, true);
  if (PodSpec(&spec).hostNetwork())
    for (const int list : {PodSpec::f_initContainers, PodSpec::f_containers})
      each_item(spec, list, [&](Value& container) { default_host_ports(arena, container); });
  set_pod_spec_defaults(arena, spec);
  if (PodSpec(&spec).terminationGracePeriodSeconds() < 0)
    set_integer(arena, spec, PodSpec::f_terminationGracePeriodSeconds, 1);
  drop_init_container_annotations(pod.get(Pod::f_metadata));
  if (Value* status = pod.get(Pod::f_status)) unify_pod_ips(arena, *status);
}

}  // namespace rusternetes::api_server
