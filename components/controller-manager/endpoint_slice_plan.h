#pragma once
// The EndpointSlices that a Service with a selector should have, as a plain function of its Pods and of the
// slices that are there (the reconciler of k8s.io/endpointslice).

#include <functional>
#include <string>
#include <vector>

#include "controller-manager/endpoint_slice_topology.h"

namespace rusternetes::controller_manager {

struct ServiceState {
  Document service;
  std::vector<Document> pods;                           // those that it selects
  std::vector<Document> slices;                         // ours for this Service, none that is being deleted
  std::function<Document(std::string_view name)> node;  // empty when there is none
  std::string trigger_time;  // RFC 3339, for the annotation of what is written; empty: none
};

struct SlicePlan {
  std::vector<Document> create;  // with generateName
  std::vector<Document> update;
  std::vector<Document> remove;
  struct Homeless {
    std::string pod, node;
  };
  std::vector<Homeless> homeless;  // Pods whose node is not there: left out until it is
  std::vector<SliceEvent> events;  // about the Service
};

SlicePlan plan_endpoint_slices(const ServiceState& state, Topology& topology,
                               std::size_t limit = endpoints_per_slice);

}  // namespace rusternetes::controller_manager
