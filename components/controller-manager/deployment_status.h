#pragma once
// A Deployment's status from its ReplicaSets': counts, and the conditions Available, Progressing and ReplicaFailure that
// `kubectl rollout status` reads (pkg/controller/deployment/progress.go).

#include <chrono>
#include <vector>

#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

struct DeploymentStatusResult {
  apimachinery::Document deployment;  // with the new status
  bool changed = false;
  std::chrono::nanoseconds check_again_after{0};  // when progressDeadlineSeconds could be over
};

DeploymentStatusResult compute_deployment_status(const apimachinery::Document& deployment, const apimachinery::Document& current,
                                                 const std::vector<apimachinery::Document>& old, std::int64_t now_us);

}  // namespace rusternetes::controller_manager
