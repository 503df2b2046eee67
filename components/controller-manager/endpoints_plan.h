#pragma once
// The Endpoints of a Service with a selector, as a plain function of its Pods (pkg/controller/endpoint).

#include <string>
#include <vector>

#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

struct EndpointsState {
  Document service;
  std::vector<Document> pods;  // those that it selects
  Document current;            // the Endpoints that are there; empty: none
  std::string trigger_time;    // RFC 3339, for the annotation; empty: none
};

// What is to be written; empty when what is there is right.
Document plan_endpoints(const EndpointsState& state);

inline constexpr std::string_view endpoints_managed_by_label = "endpoints.kubernetes.io/managed-by",
                                  endpoints_controller = "endpoint-controller",
                                  over_capacity_annotation = "endpoints.kubernetes.io/over-capacity",
                                  leader_annotation = "control-plane.alpha.kubernetes.io/leader";

}  // namespace rusternetes::controller_manager
