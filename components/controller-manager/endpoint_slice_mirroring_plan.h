#pragma once
// The slices that say the same as Endpoints which somebody wrote by hand, as a plain function of both
// (pkg/controller/endpointslicemirroring).

#include <string>
#include <vector>

#include "controller-manager/endpoint_slice_topology.h"

namespace rusternetes::controller_manager {

// kube-controller-manager's --mirroring-max-endpoints-per-subset.
inline constexpr std::size_t mirrored_per_subset = 1000;

struct MirrorPlan {
  std::vector<Document> create, update, remove;
  std::vector<SliceEvent> events;  // about the Endpoints
};

// Not those that say they must not be, nor those that are a lock of an old leader election.
bool should_mirror(const Document& endpoints);
// `slices` are ours for these Endpoints.
MirrorPlan plan_mirrored_slices(const Document& endpoints, const std::vector<Document>& slices,
                                std::size_t limit = mirrored_per_subset);

}  // namespace rusternetes::controller_manager
