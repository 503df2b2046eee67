#pragma once
// What a Pod, and a PersistentVolume, make readable for the kubelet that runs or mounts them.

#include <functional>
#include <string_view>

#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

// Called with the name of an object; returning true ends the visit, and is what the visit then returns.
using NameVisitor = std::function<bool(std::string_view name)>;

// In the Pod's own namespace; empty names are left out. What a PersistentVolume refers to is not followed.
bool visit_secrets(apimachinery::core_v1::Pod pod, const NameVisitor& visit);
bool visit_config_maps(apimachinery::core_v1::Pod pod, const NameVisitor& visit);
bool visit_volume_claims(apimachinery::core_v1::Pod pod, const NameVisitor& visit);
bool visit_resource_claims(apimachinery::core_v1::Pod pod, const NameVisitor& visit);

// The Secrets that a kubelet needs to mount the volume; those for controllers are left out.
bool visit_kubelet_secrets(
    apimachinery::core_v1::PersistentVolume volume,
    const std::function<bool(std::string_view name_space, std::string_view name)>& visit);

}  // namespace rusternetes::api_server
