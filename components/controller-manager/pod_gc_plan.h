#pragma once
// Which Pods are to go though nobody deletes them, or nobody is there to finish their end
// (pkg/controller/podgc). Pure.

#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

bool is_pod_terminated(const apimachinery::core_v1::Pod& pod);
// No kubelet will end it: it is being deleted and has no node, or its node is out of service and not ready
// (KEP-2268). `node` is empty when the mirror has none.
bool is_pod_abandoned(const apimachinery::core_v1::Pod& pod, const apimachinery::core_v1::Node& node);
// It has failed or succeeded and its end has begun with no grace left: what still holds it are finalizers.
bool is_pod_end_forced(const apimachinery::core_v1::Pod& pod);
// Those of the terminated Pods that are too many: evicted ones first, then the oldest.
std::vector<apimachinery::Document> excess_pods(std::vector<apimachinery::Document> terminated,
                                                std::size_t threshold);

}  // namespace rusternetes::controller_manager
