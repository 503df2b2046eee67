#include "controller-manager/deployment_status.h"

#include <fmt/format.h>

#include "apimachinery/api/apps_v1.h"
#include "client/object_builder.h"
#include "controller-manager/deployment_plan.h"
#include "controller-manager/deployment_sets.h"
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

struct Condition {
  std::string_view type, status, reason;
  std::string message;
};

// The transition time moves with `status` only, the update time with every change: that is where the deadline
// counts from.
void put_condition(Arena& arena, Value& status, const Condition& condition, std::int64_t now_us) {
  Value* present = find_condition(status, condition.type);
  const bool is_transition = !present || DeploymentCondition(present).status() != condition.status;
  if (!present) present = &append_structure(arena, ensure(arena, status, S::f_conditions, ValueKind::list));
  set_string(arena, *present, DeploymentCondition::f_type, condition.type);
  set_string(arena, *present, DeploymentCondition::f_status, condition.status);
  set_string(arena, *present, DeploymentCondition::f_reason, condition.reason);
  set_string(arena, *present, DeploymentCondition::f_message, condition.message);
  set_time(arena, *present, DeploymentCondition::f_lastUpdateTime, now_us);
  if (is_transition) set_time(arena, *present, DeploymentCondition::f_lastTransitionTime, now_us);
}

// Another message alone is no change: an error text that differs each time would have the Deployment written
// for ever.
bool set_condition(Arena& arena, Value& status, const Condition& condition, std::int64_t now_us) {
  if (const Value* present = find_condition(status, condition.type)) {
    const DeploymentCondition old(present);
    if (old.status() == condition.status && old.reason() == condition.reason) return false;
  }
  put_condition(arena, status, condition, now_us);
  return true;
}

void remove_condition(Value& status, std::string_view type) {
  if (Value* present = find_condition(status, type)) {
    Value& list = *status.get(S::f_conditions);
    erase_item(list, static_cast<std::size_t>(present - list.items));
    if (list.size == 0) erase_field(status, S::f_conditions);
  }
}

// The reason of the condition Progressing; empty without one.
std::string_view progress_reason(Value& status) {
  const Value* progressing = find_condition(status, "Progressing");
  return progressing ? DeploymentCondition(progressing).reason() : std::string_view{};
}

bool has_deadline(const Deployment& view) { return view.spec().progressDeadlineSeconds(600) != 2147483647; }

std::int64_t whole_seconds(std::int64_t now_us) { return now_us - now_us % 1'000'000; }

struct Counts {
  std::int64_t total = 0, updated = 0, ready = 0, available = 0, wanted = 0, terminating = 0;
  bool knows_terminating = true;
  void add(const Document& set, bool is_current) {
    const ReplicaSet view(&set.root());
    const auto status = view.status();
    total += status.replicas();
    ready += status.readyReplicas();
    available += status.availableReplicas();
    wanted += view.spec().replicas();
    terminating += status.terminatingReplicas();
    // A set whose controller does not count them makes the sum unknown.
    if (!status.has_terminatingReplicas() && status.observedGeneration()) knows_terminating = false;
    if (is_current) updated += status.replicas();
  }
};

void write_counts(Arena& arena, Value& status, const Counts& counts, std::int64_t generation) {
  auto number = [&](int field, std::int64_t value) {
    if (value)
      set_integer(arena, status, field, value);
    else
      erase_field(status, field);
  };
  number(S::f_observedGeneration, generation);
  number(S::f_replicas, counts.total);
  number(S::f_updatedReplicas, counts.updated);
  number(S::f_readyReplicas, counts.ready);
  number(S::f_availableReplicas, counts.available);
  number(S::f_unavailableReplicas, std::max<std::int64_t>(0, counts.wanted - counts.available));
  if (counts.knows_terminating)
    set_integer(arena, status, S::f_terminatingReplicas, counts.terminating);
  else
    erase_field(status, S::f_terminatingReplicas);
}

void write_availability(Arena& arena, Value& status, const Deployment& view, const Counts& counts,
                        std::int64_t now_us) {
  const std::int64_t replicas = view.spec().replicas(1);
  const auto rolling = view.spec().strategy().rollingUpdate();
  const Fenceposts posts =
      resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), replicas);
  const std::int64_t least =
      replicas - (view.spec().strategy().type() == "Recreate" ? 0 : std::min(posts.unavailable, replicas));
  if (counts.available >= least)
    set_condition(arena, status,
                  {"Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."},
                  now_us);
  else
    set_condition(arena, status,
                  {"Available", "False", "MinimumReplicasUnavailable",
                   "Deployment does not have minimum availability."},
                  now_us);
}

// Gives when the deadline could be over; 0 when none runs.
std::chrono::nanoseconds judge_progress(Arena& arena, Value& status, const Deployment& view,
                                        const Counts& counts, const Document& current, std::int64_t now_us) {
  if (!has_deadline(view)) {
    remove_condition(status, "Progressing");
    return {};
  }
  // After a rollout a Pod that fails, or a change of scale, is no lack of progress.
  if (progress_reason(status) == "NewReplicaSetAvailable" && counts.total == counts.updated) return {};
  const std::int64_t replicas = view.spec().replicas(1);
  const auto before = view.status();
  const std::string who = current ? fmt::format("ReplicaSet \"{}\"", client::name_of(current))
                                  : fmt::format("Deployment \"{}\"", view.metadata().name());
  if (counts.updated == replicas && counts.total == replicas && counts.available == replicas) {
    set_condition(arena, status,
                  {"Progressing", "True", "NewReplicaSetAvailable", who + " has successfully progressed."},
                  now_us);
    return {};
  }
  const bool has_progressed = counts.updated > before.updatedReplicas() ||
                              counts.total - counts.updated < before.replicas() - before.updatedReplicas() ||
                              counts.ready > before.readyReplicas() ||
                              counts.available > before.availableReplicas();
  if (has_progressed)
    put_condition(arena, status, {"Progressing", "True", "ReplicaSetUpdated", who + " is progressing."},
                  now_us);
  const Value* progressing = find_condition(status, "Progressing");
  if (!progressing) return {};
  const DeploymentCondition condition(progressing);
  if (condition.reason() == "NewReplicaSetAvailable" || condition.reason() == "ProgressDeadlineExceeded")
    return {};
  const std::int64_t left_us =
      condition.lastUpdateTime() + view.spec().progressDeadlineSeconds(600) * 1'000'000 - now_us;
  if (left_us >= 0) return std::chrono::microseconds(left_us) + std::chrono::seconds(1);
  set_condition(arena, status,
                {"Progressing", "False", "ProgressDeadlineExceeded", who + " has timed out progressing."},
                now_us);
  return {};
}

// What keeps a set from making Pods is told here too; the new set's trouble before that of the others.
void tell_failure(Arena& arena, Value& status, const Document& current, const std::vector<Document>& old,
                  std::int64_t now_us) {
  std::vector<Document> sets = old;
  if (current) sets.insert(sets.begin(), current);
  for (const auto& set : sets)
    for (const auto condition : ReplicaSet(&set.root()).status().conditions())
      if (condition.type() == "ReplicaFailure") {
        set_condition(
            arena, status,
            {"ReplicaFailure", condition.status(), condition.reason(), std::string(condition.message())},
            now_us);
        return;
      }
  remove_condition(status, "ReplicaFailure");
}

}  // namespace

DeploymentStatusResult compute_deployment_status(const Document& deployment, const Document& current,
                                                 const std::vector<Document>& old, bool is_rolling,
                                                 std::int64_t now_us) {
  now_us = whole_seconds(now_us);
  client::ObjectBuilder builder(deployment);
  Arena& arena = builder.arena();
  const Deployment view(&deployment.root());
  Counts counts;
  if (current) counts.add(current, true);
  for (const auto& set : old) counts.add(set, false);
  Value& status = ensure(arena, builder.root(), Deployment::f_status);
  write_counts(arena, status, counts, view.metadata().generation());
  write_availability(arena, status, view, counts, now_us);
  DeploymentStatusResult result;
  if (is_rolling) {
    result.check_again_after = judge_progress(arena, status, view, counts, current, now_us);
    tell_failure(arena, status, current, old, now_us);
  }
  const Value* old_status = deployment.root().get(Deployment::f_status);
  result.changed = !old_status || !equal(*old_status, *builder.root().get(Deployment::f_status));
  result.deployment = builder.freeze();
  return result;
}

Document with_pause_told(const Document& deployment, std::int64_t now_us) {
  const Deployment view(&deployment.root());
  if (!has_deadline(view)) return {};
  client::ObjectBuilder builder(deployment);
  Value& status = ensure(builder.arena(), builder.root(), Deployment::f_status);
  const std::string_view reason = progress_reason(status);
  if (reason == "ProgressDeadlineExceeded" || view.spec().paused() == (reason == "DeploymentPaused"))
    return {};
  if (view.spec().paused())
    put_condition(builder.arena(), status,
                  {"Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"},
                  whole_seconds(now_us));
  else
    put_condition(builder.arena(), status,
                  {"Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"},
                  whole_seconds(now_us));
  return builder.freeze();
}

Document with_new_set_told(const Document& deployment, std::string_view set_name, std::int64_t revision,
                           bool is_made, std::int64_t now_us) {
  const Deployment view(&deployment.root());
  client::ObjectBuilder builder(deployment);
  Arena& arena = builder.arena();
  const bool is_told = revision_of(deployment) == revision;
  if (!is_told) {
    Value& metadata = ensure(arena, builder.root(), Deployment::f_metadata);
    set_map_string(arena, ensure(arena, metadata, meta_v1::ObjectMeta::f_annotations, ValueKind::map),
                   revision_annotation, std::to_string(revision));
  }
  Value& status = ensure(arena, builder.root(), Deployment::f_status);
  const bool begins = has_deadline(view) && !view.spec().paused() &&
                      (is_made || !is_told || !find_condition(status, "Progressing"));
  if (begins && is_made)
    put_condition(arena, status,
                  {"Progressing", "True", "NewReplicaSetCreated",
                   fmt::format("Created new replica set \"{}\"", set_name)},
                  whole_seconds(now_us));
  else if (begins)
    put_condition(
        arena, status,
        {"Progressing", "True", "FoundNewReplicaSet", fmt::format("Found new replica set \"{}\"", set_name)},
        whole_seconds(now_us));
  return is_told && !begins ? Document{} : builder.freeze();
}

Document with_create_error_told(const Document& deployment, std::string_view message, std::int64_t now_us) {
  if (!has_deadline(Deployment(&deployment.root()))) return {};
  client::ObjectBuilder builder(deployment);
  Value& status = ensure(builder.arena(), builder.root(), Deployment::f_status);
  const bool is_news = set_condition(builder.arena(), status,
                                     {"Progressing", "False", "ReplicaSetCreateError", std::string(message)},
                                     whole_seconds(now_us));
  return is_news ? builder.freeze() : Document{};
}

}  // namespace rusternetes::controller_manager
