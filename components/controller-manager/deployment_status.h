#pragma once
// A Deployment's status from its ReplicaSets': counts, and the conditions Available, Progressing and
// ReplicaFailure that `kubectl rollout status` reads (pkg/controller/deployment/progress.go).

#include <chrono>
#include <vector>

#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

struct DeploymentStatusResult {
  apimachinery::Document deployment;  // with the new status
  bool changed = false;
  std::chrono::nanoseconds check_again_after{0};  // when progressDeadlineSeconds could be over
};

// `is_rolling` is false while the Deployment is paused or only scaled: then no progress is judged.
DeploymentStatusResult compute_deployment_status(const apimachinery::Document& deployment,
                                                 const apimachinery::Document& current,
                                                 const std::vector<apimachinery::Document>& old,
                                                 bool is_rolling, std::int64_t now_us);

// What is told between two rollouts. Each starts the time of progressDeadlineSeconds anew, leaves
// status.observedGeneration as it was (the counts are still those of the last generation), and gives the
// Deployment to be written to its status subresource, or an empty document when there is nothing to tell.

// DeploymentPaused, and DeploymentResumed afterwards: the time in between does not count. A deadline that was
// exceeded stays so.
apimachinery::Document with_pause_told(const apimachinery::Document& deployment, std::int64_t now_us);
// The Deployment's revision (an annotation) is that of its new ReplicaSet; one that `is_made` just now, or
// that has become the newest, begins a rollout: NewReplicaSetCreated, FoundNewReplicaSet.
apimachinery::Document with_new_set_told(const apimachinery::Document& deployment, std::string_view set_name,
                                         std::int64_t revision, bool is_made, std::int64_t now_us);
// ReplicaSetCreateError.
apimachinery::Document with_create_error_told(const apimachinery::Document& deployment,
                                              std::string_view message, std::int64_t now_us);

}  // namespace rusternetes::controller_manager
