#pragma once
// POST pods/NAME/eviction: a deletion that asks the Pod's disruption budget first
// (pkg/registry/core/pod/storage/eviction.go, policy/v1 PodDisruptionBudget).

#include "api-server/admission.h"
#include "api-server/resources.h"

namespace rusternetes::api_server {

// `object` is the Eviction. 429 with the cause DisruptionBudget: not now.
Task<Result<Written>> evict_pod(Resources& resources, const AdmissionChain& admission, Call& call, apimachinery::Value object);

}  // namespace rusternetes::api_server
