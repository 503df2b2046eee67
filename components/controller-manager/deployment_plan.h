#pragma once
// How a Deployment moves from its old ReplicaSets to the new one: plain functions of what is there
// (pkg/controller/deployment rolling, recreate, progress).

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

struct ReplicaSetState {
  std::string name;
  std::int64_t wanted = 0;    // spec.replicas
  std::int64_t replicas = 0;  // status
  std::int64_t ready = 0;
  std::int64_t available = 0;
  std::int64_t created_at_us = 0;
  // What the set was last scaled for, when its annotations tell: the Deployment's replicas, and those with
  // the surge.
  std::optional<std::int64_t> desired{}, max_replicas{};
};

struct RolloutInput {
  std::int64_t replicas = 1;
  std::int64_t max_surge = 0, max_unavailable = 0;  // resolved
  bool is_recreate = false;
  bool is_paused = false;
  ReplicaSetState current;             // the new ReplicaSet
  std::vector<ReplicaSetState> old;    // oldest first
  std::int64_t old_pods = 0;           // Pods of old ReplicaSets that still run (recreate waits for them)
  std::int64_t reported_replicas = 0;  // the Deployment's status.replicas
};

// Whether spec.replicas has changed since the active sets were scaled: then they are scaled, and the rollout
// goes on after that.
bool is_scaling(const RolloutInput& input);

// name → spec.replicas, of the sets that must change; a set whose number is right and whose annotations are
// not is among them. A paused Deployment, and one that is_scaling(), keeps the proportions of its sets.
std::map<std::string, std::int64_t> plan_rollout(const RolloutInput& input);

// maxSurge and maxUnavailable as numbers: percentages of replicas, surge rounded up, unavailable down; both
// zero makes one unavailable (util.ResolveFenceposts).
struct Fenceposts {
  std::int64_t surge = 0, unavailable = 0;
};
Fenceposts resolve_fenceposts(const apimachinery::Value* max_surge,
                              const apimachinery::Value* max_unavailable, std::int64_t replicas);

// The text that tells templates apart: JSON without the pod-template-hash label.
std::string template_text(const apimachinery::Value& pod_template);
std::string template_hash(const std::string& text, std::int64_t collisions, bool has_collisions);

}  // namespace rusternetes::controller_manager
