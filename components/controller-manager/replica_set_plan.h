#pragma once
// What a ReplicaSet lacks or has too much of, as a plain function of what is there.

#include <chrono>
#include <string>
#include <vector>

#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

struct ReplicaSetPlan {
  int create = 0;
  std::vector<std::string> remove;  // names of Pods, the least valuable first
  // For status; `terminating` are Pods that are being deleted and still run.
  std::int64_t replicas = 0, fully_labeled = 0, ready = 0, available = 0, terminating = 0;
  std::chrono::nanoseconds becomes_available_after{0};  // when minReadySeconds of the next Pod are over
};

// At most so many Pods at once (pkg/controller/replicaset BurstReplicas).
inline constexpr int burst_replicas = 500;

ReplicaSetPlan plan_replica_set(const apimachinery::Document& set,
                                const std::vector<apimachinery::Document>& owned, std::int64_t now_us);
// Writes status; false when it is already so. `failure` becomes the ReplicaFailure condition.
bool set_replica_set_status(apimachinery::Arena& arena, apimachinery::Value& set, const ReplicaSetPlan& plan,
                            const std::string& failure, std::int64_t now_us);

}  // namespace rusternetes::controller_manager
