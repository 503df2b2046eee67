#include "kubelet/pod/pod.h"

#include <fmt/format.h>

#include <algorithm>

namespace rusternetes::kubelet {

using apimachinery::Quantity;

static_assert(core_v1::EphemeralContainer::f_name == core_v1::Container::f_name);
static_assert(core_v1::EphemeralContainer::f_volumeMounts == core_v1::Container::f_volumeMounts);
static_assert(core_v1::EphemeralContainer::f_tty == core_v1::Container::f_tty);

apimachinery::ListView<core_v1::Container> ephemeral_containers(const core_v1::Pod& pod) {
  const auto* spec = pod.spec().value();
  return apimachinery::ListView<core_v1::Container>(spec ? spec->get(core_v1::PodSpec::f_ephemeralContainers) : nullptr);
}

core_v1::Container container_of(const core_v1::Pod& pod, ContainerRef ref) {
  if (ref.is_ephemeral) return ephemeral_containers(pod)[ref.index];
  return ref.is_init ? pod.spec().initContainers()[ref.index] : pod.spec().containers()[ref.index];
}

std::string field_path(const core_v1::Pod& pod, ContainerRef ref) {
  const char* list = ref.is_ephemeral ? "ephemeralContainers" : ref.is_init ? "initContainers" : "containers";
  return fmt::format("spec.{}{{{}}}", list, container_of(pod, ref).name());
}

bool is_sidecar(const core_v1::Container& init_container) { return init_container.restartPolicy() == "Always"; }

std::vector<std::string_view> sidecars(const core_v1::Pod& pod) {
  std::vector<std::string_view> out;
  for (const auto container : pod.spec().initContainers())
    if (is_sidecar(container)) out.push_back(container.name());
  return out;
}

Quantity quantity_of(const apimachinery::MapView<std::string_view>& resources, std::string_view name) {
  if (!resources.contains(name)) return {};
  auto parsed = Quantity::parse(resources.get(name));
  return parsed ? *parsed : Quantity{};
}

namespace {

// Guaranteed asks for limits of both, equal to the requests; best effort for none at all.
void classify(const core_v1::ResourceRequirements& resources, bool& any, bool& all_limited) {
  for (const std::string_view name : {"cpu", "memory"}) {
    const Quantity limit = quantity_of(resources.limits(), name);
    Quantity request = quantity_of(resources.requests(), name);
    if (!resources.requests().contains(name)) request = limit;
    if (!limit.is_zero() || !request.is_zero()) any = true;
    if (limit.is_zero() || !(request == limit)) all_limited = false;
  }
}

}  // namespace

QosClass qos_class(const core_v1::Pod& pod) {
  const auto stated = pod.status().qosClass();  // the api-server sets it once
  if (stated == "Guaranteed") return QosClass::guaranteed;
  if (stated == "Burstable") return QosClass::burstable;
  if (stated == "BestEffort") return QosClass::best_effort;
  bool any = false, all_limited = true;
  if (pod.spec().resources().limits().size() + pod.spec().resources().requests().size() > 0) {
    classify(pod.spec().resources(), any, all_limited);
  } else {
    for (const auto container : pod.spec().containers()) classify(container.resources(), any, all_limited);
    for (const auto container : pod.spec().initContainers()) classify(container.resources(), any, all_limited);
  }
  if (!any) return QosClass::best_effort;
  return all_limited ? QosClass::guaranteed : QosClass::burstable;
}

std::string_view to_string(QosClass qos) {
  switch (qos) {
    case QosClass::guaranteed: return "Guaranteed";
    case QosClass::burstable: return "Burstable";
    case QosClass::best_effort: return "BestEffort";
  }
  return {};
}

bool restarts_after(const core_v1::Container& container, const core_v1::Pod& pod, int exit_code) {
  auto policy = pod.spec().restartPolicy();
  if (container.has_restartPolicy()) {
    for (const auto rule : container.restartPolicyRules()) {
      const auto codes = rule.exitCodes();
      if (!codes || rule.action() != "Restart") continue;
      const bool is_listed = std::any_of(codes.values().begin(), codes.values().end(),
                                         [&](std::int64_t value) { return value == exit_code; });
      if ((codes.operator_() == "In" && is_listed) || (codes.operator_() == "NotIn" && !is_listed)) return true;
    }
    policy = container.restartPolicy();
  }
  if (policy == "Never") return false;
  if (policy == "OnFailure") return exit_code != 0;
  return true;
}

bool is_deleting(const core_v1::Pod& pod) { return pod.metadata().has_deletionTimestamp(); }

bool has_terminal_phase(const core_v1::Pod& pod) {
  const auto phase = pod.status().phase();
  return phase == "Succeeded" || phase == "Failed";
}

bool is_host_network(const core_v1::Pod& pod) { return pod.spec().hostNetwork(); }

std::string pod_hostname(const core_v1::Pod& pod) {
  std::string name(pod.spec().hostnameOverride());
  if (name.empty()) name = pod.spec().hostname();
  if (name.empty()) name = pod.metadata().name();
  if (name.size() > 63) {
    name.resize(63);
    while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  }
  return name;
}

std::string pod_domain(const core_v1::Pod& pod, std::string_view cluster_domain) {
  if (pod.spec().subdomain().empty() || !pod.spec().hostnameOverride().empty()) return {};
  return fmt::format("{}.{}.svc.{}", pod.spec().subdomain(), pod.metadata().namespace_(), cluster_domain);
}

Result<std::string> kernel_hostname(const core_v1::Pod& pod, std::string_view cluster_domain) {
  constexpr std::size_t kLongest = 64;
  std::string name = pod_hostname(pod);
  const std::string domain = pod_domain(pod, cluster_domain);
  if (domain.empty() || !pod.spec().setHostnameAsFQDN()) return name;
  name += "." + domain;
  if (name.size() > kLongest)
    return internal_error(fmt::format("failed to construct FQDN from pod hostname and cluster domain, FQDN {} is too long ({} characters is "
                                      "the max, {} characters requested)",
                                      name, kLongest, name.size()));
  return name;
}

std::string log_folder(const core_v1::Pod& pod) {
  return fmt::format("{}_{}_{}", pod.metadata().namespace_(), pod.metadata().name(), pod.metadata().uid());
}

std::string full_name(const core_v1::Pod& pod) {
  return fmt::format("{}_{}({})", pod.metadata().name(), pod.metadata().namespace_(), pod.metadata().uid());
}

}  // namespace rusternetes::kubelet
