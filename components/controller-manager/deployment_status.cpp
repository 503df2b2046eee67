#include "controller-manager/deployment_status.h"

#include <fmt/format.h>

#include "apimachinery/api/apps_v1.h"
#include "client/object_builder.h"
#include "controller-manager/deployment_plan.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::Deployment;
using apps_v1::DeploymentCondition;
using apps_v1::ReplicaSet;
using S = apps_v1::DeploymentStatus;

namespace {

Value* find_condition(Value& status, std::string_view type) {
  Value* list = status.get(S::f_conditions);
  if (!list) return nullptr;
  for (auto& one : list->children())
    if (DeploymentCondition(&one).type() == type) return &one;
  return nullptr;
}

// The transition time moves with `status` only, the update time with every change.
void set_condition(Arena& arena, Value& status, std::string_view type, std::string_view value, std::string_view reason,
                   std::string_view message, std::int64_t now_us) {
  Value* present = find_condition(status, type);
  if (present) {
    const DeploymentCondition old(present);
    if (old.status() == value && old.reason() == reason && old.message() == message) return;
  }
  const bool is_transition = !present || DeploymentCondition(present).status() != value;
  if (!present) present = &append_structure(arena, ensure(arena, status, S::f_conditions, ValueKind::list));
  set_string(arena, *present, DeploymentCondition::f_type, type);
  set_string(arena, *present, DeploymentCondition::f_status, value);
  set_string(arena, *present, DeploymentCondition::f_reason, reason);
  set_string(arena, *present, DeploymentCondition::f_message, message);
  set_time(arena, *present, DeploymentCondition::f_lastUpdateTime, now_us);
  if (is_transition) set_time(arena, *present, DeploymentCondition::f_lastTransitionTime, now_us);
}

struct Counts {
  std::int64_t total = 0, updated = 0, ready = 0, available = 0, wanted = 0;
  void add(const Document& set, bool is_current) {
    const ReplicaSet view(&set.root());
    total += view.status().replicas();
    ready += view.status().readyReplicas();
    available += view.status().availableReplicas();
    wanted += view.spec().replicas();
    if (is_current) updated += view.status().replicas();
  }
};

}  // namespace

DeploymentStatusResult compute_deployment_status(const Document& deployment, const Document& current,
                                                 const std::vector<Document>& old, std::int64_t now_us) {
  now_us -= now_us % 1'000'000;
  client::ObjectBuilder builder(deployment);
  Arena& arena = builder.arena();
  const Deployment view(&deployment.root());
  const std::int64_t replicas = view.spec().replicas(1);
  const auto before = view.status();
  Counts counts;
  if (current) counts.add(current, true);
  for (const auto& set : old) counts.add(set, false);
  Value& status = ensure(arena, builder.root(), Deployment::f_status);
  auto number = [&](int field, std::int64_t value) {
    if (value) set_integer(arena, status, field, value);
    else erase_field(status, field);
  };
  number(S::f_observedGeneration, view.metadata().generation());
  number(S::f_replicas, counts.total);
  number(S::f_updatedReplicas, counts.updated);
  number(S::f_readyReplicas, counts.ready);
  number(S::f_availableReplicas, counts.available);
  number(S::f_unavailableReplicas, std::max<std::int64_t>(0, counts.wanted - counts.available));

  const auto rolling = view.spec().strategy().rollingUpdate();
  const Fenceposts posts = resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), replicas);
  const std::int64_t least = replicas - (view.spec().strategy().type() == "Recreate" ? 0 : std::min(posts.unavailable, replicas));
  if (counts.available >= least)
    set_condition(arena, status, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now_us);
  else
    set_condition(arena, status, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now_us);

  DeploymentStatusResult result;
  const std::string set_name = current ? std::string(client::name_of(current)) : "";
  const std::int64_t deadline_s = view.spec().progressDeadlineSeconds(600);
  const bool is_complete = counts.updated == replicas && counts.total == replicas && counts.available == replicas;
  const bool has_progressed = counts.updated > before.updatedReplicas() || counts.total - counts.updated < before.replicas() - before.updatedReplicas() ||
                              counts.ready > before.readyReplicas() || counts.available > before.availableReplicas();
  Value* progressing = find_condition(status, "Progressing");
  const bool was_complete = progressing && DeploymentCondition(progressing).reason() == "NewReplicaSetAvailable" && before.updatedReplicas() == before.replicas() &&
                            before.observedGeneration() == view.metadata().generation();
  if (view.spec().paused()) {
    set_condition(arena, status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now_us);
  } else if (deadline_s != 2147483647 && !set_name.empty()) {
    if (is_complete) {
      set_condition(arena, status, "Progressing", "True", "NewReplicaSetAvailable", fmt::format("ReplicaSet \"{}\" has successfully progressed.", set_name), now_us);
    } else if (!progressing) {
      set_condition(arena, status, "Progressing", "True", "NewReplicaSetCreated", fmt::format("Created new replica set \"{}\"", set_name), now_us);
    } else if (has_progressed || !was_complete) {
      const DeploymentCondition now(progressing);
      const std::int64_t left_us = now.lastUpdateTime() + deadline_s * 1'000'000 - now_us;
      if (has_progressed) {
        erase_item(*status.get(S::f_conditions), static_cast<std::size_t>(progressing - status.get(S::f_conditions)->items));
        set_condition(arena, status, "Progressing", "True", "ReplicaSetUpdated", fmt::format("ReplicaSet \"{}\" is progressing.", set_name), now_us);
      } else if (left_us <= 0 && now.reason() != "ProgressDeadlineExceeded" && now.reason() != "NewReplicaSetAvailable") {
        set_condition(arena, status, "Progressing", "False", "ProgressDeadlineExceeded", fmt::format("ReplicaSet \"{}\" has timed out progressing.", set_name), now_us);
      } else if (left_us > 0) {
        result.check_again_after = std::chrono::microseconds(left_us) + std::chrono::seconds(1);
      }
    }
  }

  // What keeps a set from making Pods is told here too.
  std::string failure;
  std::string_view failure_reason = "FailedCreate";
  if (current)
    for (const auto condition : ReplicaSet(&current.root()).status().conditions())
      if (condition.type() == "ReplicaFailure" && condition.status() == "True") failure = condition.message();
  if (!failure.empty()) {
    set_condition(arena, status, "ReplicaFailure", "True", failure_reason, failure, now_us);
  } else if (Value* stale = find_condition(status, "ReplicaFailure")) {
    erase_item(*status.get(S::f_conditions), static_cast<std::size_t>(stale - status.get(S::f_conditions)->items));
  }

  const Value* old_status = deployment.root().get(Deployment::f_status);
  result.changed = !old_status || !equal(*old_status, *builder.root().get(Deployment::f_status));
  result.deployment = builder.freeze();
  return result;
}

}  // namespace rusternetes::controller_manager
