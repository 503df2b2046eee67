#pragma once
// What the kubelet reads out of a Pod: its containers, quality of service, restart rules, hostname, folders.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"
#include "apimachinery/quantity.h"
#include "base/status.h"
#include "engine/runtime.h"

namespace rusternetes::kubelet {

using apimachinery::Document;
namespace core_v1 = apimachinery::core_v1;
namespace meta_v1 = apimachinery::meta_v1;

inline core_v1::Pod pod_view(const Document& pod) { return core_v1::Pod(pod ? &pod.root() : nullptr); }

// A container by its place in spec.initContainers, spec.ephemeralContainers or spec.containers.
struct ContainerRef {
  bool is_init = false;
  std::size_t index = 0;
  bool is_ephemeral = false;
  friend bool operator==(const ContainerRef&, const ContainerRef&) = default;
};
core_v1::Container container_of(const core_v1::Pod& pod, ContainerRef ref);
// "spec.containers{web}", as events name it.
std::string field_path(const core_v1::Pod& pod, ContainerRef ref);

// spec.ephemeralContainers (KEP-277), read as containers: the schema gives the fields that they share the same numbers.
apimachinery::ListView<core_v1::Container> ephemeral_containers(const core_v1::Pod& pod);

// An init container that stays: restartPolicy Always (KEP-753).
bool is_sidecar(const core_v1::Container& init_container);
// Their names, in the order in which they start. Good as long as the Pod.
std::vector<std::string_view> sidecars(const core_v1::Pod& pod);

enum class QosClass { guaranteed, burstable, best_effort };
QosClass qos_class(const core_v1::Pod& pod);
std::string_view to_string(QosClass qos);

// Whether the rules of the container (KEP-5307) or of its Pod start it again after this exit.
bool restarts_after(const core_v1::Container& container, const core_v1::Pod& pod, int exit_code);

// Seconds of a Pod that may be any int64, as many as a point of time can be moved by: "never" is some 30 years.
constexpr std::chrono::seconds clamped_seconds(std::int64_t value) {
  return std::chrono::seconds(std::clamp<std::int64_t>(value, 0, 1'000'000'000));
}
// spec.terminationGracePeriodSeconds.
inline std::chrono::seconds grace_of(const core_v1::Pod& pod) {
  return clamped_seconds(pod.spec().terminationGracePeriodSeconds(30));
}

bool is_deleting(const core_v1::Pod& pod);
// Phase Succeeded or Failed: it never runs again.
bool has_terminal_phase(const core_v1::Pod& pod);
bool is_host_network(const core_v1::Pod& pod);

// spec.hostnameOverride, spec.hostname or the name, cut to 63 bytes.
std::string pod_hostname(const core_v1::Pod& pod);
// What its processes see as their hostname: with setHostnameAsFQDN the whole name, of at most 64 characters.
Result<std::string> kernel_hostname(const core_v1::Pod& pod, std::string_view cluster_domain);
// "sub.ns.svc.cluster.local" with a subdomain, else empty.
std::string pod_domain(const core_v1::Pod& pod, std::string_view cluster_domain);

// "ns_name_uid", the name of its log folder.
std::string log_folder(const core_v1::Pod& pod);
// "web_default(uid)", as messages name a Pod.
std::string full_name(const core_v1::Pod& pod);

// A quantity of a resource map, or zero.
apimachinery::Quantity quantity_of(const apimachinery::MapView<std::string_view>& resources, std::string_view name);

}  // namespace rusternetes::kubelet
