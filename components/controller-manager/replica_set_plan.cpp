#include "controller-manager/replica_set_plan.h"

#include <algorithm>
#include <tuple>

#include "apimachinery/api/apps_v1.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::ReplicaSet;
using apps_v1::ReplicaSetStatus;

namespace {

std::int64_t ready_since_us(const core_v1::Pod& pod) {
  for (const auto condition : pod.status().conditions())
    if (condition.type() == "Ready" && condition.status() == "True") return condition.lastTransitionTime();
  return 0;
}

// Which Pods go first: unassigned, pending, not ready, cheaper, younger readiness, more restarts, younger
// (pkg/controller ActivePodsWithRanks).
auto value_of(const Document& document) {
  const core_v1::Pod pod(&document.root());
  std::int64_t restarts = 0;
  for (const auto status : pod.status().containerStatuses())
    restarts = std::max(restarts, status.restartCount());
  const int phase = pod.status().phase() == "Pending" ? 0 : pod.status().phase() == "Running" ? 2 : 1;
  std::int64_t cost = 0;
  if (const auto text = pod.metadata().annotations().get("controller.kubernetes.io/pod-deletion-cost");
      !text.empty())
    cost = std::atol(std::string(text).c_str());
  return std::tuple(!pod.spec().nodeName().empty(), phase, is_pod_ready(pod), cost, -ready_since_us(pod),
                    -restarts, -pod.metadata().creationTimestamp());
}

}  // namespace

ReplicaSetPlan plan_replica_set(const Document& set, const std::vector<Document>& owned,
                                std::int64_t now_us) {
  const ReplicaSet view(&set.root());
  ReplicaSetPlan plan;
  std::vector<Document> active;
  const auto template_labels = view.spec().template_().metadata().labels();
  const std::int64_t min_ready_us = view.spec().minReadySeconds() * 1'000'000;
  for (const auto& document : owned) {
    const core_v1::Pod pod(&document.root());
    if (pod.metadata().has_deletionTimestamp() && pod.status().phase() != "Succeeded" &&
        pod.status().phase() != "Failed")
      ++plan.terminating;
    if (!is_pod_active(pod)) continue;
    active.push_back(document);
    ++plan.replicas;
    bool is_labeled = true;
    for (const auto& [key, value] : template_labels) is_labeled &= pod.metadata().labels().get(key) == value;
    plan.fully_labeled += is_labeled;
    if (!is_pod_ready(pod)) continue;
    ++plan.ready;
    const std::int64_t left_us = ready_since_us(pod) + min_ready_us - now_us;
    if (min_ready_us == 0 || left_us <= 0) {
      ++plan.available;
    } else {
      const auto left = std::chrono::microseconds(left_us);
      if (plan.becomes_available_after.count() == 0 || left < plan.becomes_available_after)
        plan.becomes_available_after = left;
    }
  }
  const std::int64_t wanted = view.spec().replicas(1);
  const std::int64_t missing = wanted - static_cast<std::int64_t>(active.size());
  if (missing > 0) {
    plan.create = static_cast<int>(std::min<std::int64_t>(missing, burst_replicas));
  } else if (missing < 0) {
    std::stable_sort(active.begin(), active.end(),
                     [](const Document& a, const Document& b) { return value_of(a) < value_of(b); });
    const std::size_t surplus = static_cast<std::size_t>(std::min<std::int64_t>(-missing, burst_replicas));
    for (std::size_t i = 0; i < surplus; ++i) plan.remove.emplace_back(client::name_of(active[i]));
  }
  return plan;
}

bool set_replica_set_status(Arena& arena, Value& set, const ReplicaSetPlan& plan, const std::string& failure,
                            std::int64_t now_us) {
  const ReplicaSet view(&set);
  const Value before =
      view.status() ? deep_copy(arena, *view.status().value()) : Value::empty(ValueKind::structure);
  const std::int64_t generation = view.metadata().generation();
  Value& status = ensure(arena, set, ReplicaSet::f_status);
  auto number = [&](int field, std::int64_t value) {
    if (value)
      set_integer(arena, status, field, value);
    else
      erase_field(status, field);
  };
  number(ReplicaSetStatus::f_fullyLabeledReplicas, plan.fully_labeled);
  number(ReplicaSetStatus::f_readyReplicas, plan.ready);
  number(ReplicaSetStatus::f_availableReplicas, plan.available);
  number(ReplicaSetStatus::f_replicas, plan.replicas);
  // Zero is told as well: without the field nobody knows.
  set_integer(arena, status, ReplicaSetStatus::f_terminatingReplicas, plan.terminating);
  number(ReplicaSetStatus::f_observedGeneration, generation);
  if (failure.empty()) {
    erase_field(status, ReplicaSetStatus::f_conditions);
  } else {
    using C = apps_v1::ReplicaSetCondition;
    const Value* old = status.get(ReplicaSetStatus::f_conditions);
    std::int64_t since = now_us - now_us % 1'000'000;
    if (old && old->size && C(&old->items[0]).status() == "True")
      since = C(&old->items[0]).lastTransitionTime();
    erase_field(status, ReplicaSetStatus::f_conditions);
    Value& condition =
        append_structure(arena, ensure(arena, status, ReplicaSetStatus::f_conditions, ValueKind::list));
    set_string(arena, condition, C::f_type, "ReplicaFailure");
    set_string(arena, condition, C::f_status, "True");
    set_time(arena, condition, C::f_lastTransitionTime, since);
    set_string(arena, condition, C::f_reason, plan.remove.empty() ? "FailedCreate" : "FailedDelete");
    set_string(arena, condition, C::f_message, failure);
  }
  Value now = *ReplicaSet(&set).status().value();
  now.field = before.field;
  return !equal(now, before);
}

}  // namespace rusternetes::controller_manager
