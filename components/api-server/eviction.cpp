#include "api-server/eviction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "api-server/actions.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/policy_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/label_selector.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Pod;
using core_v1::PodCondition;
using meta_v1::Condition;
using policy_v1::PodDisruptionBudget;
using policy_v1::PodDisruptionBudgetStatus;

namespace {

constexpr std::string_view allowed_condition = "DisruptionAllowed";
// Evictions granted of which the budget's controller has not heard yet.
constexpr std::size_t most_disrupted_pods = 2000;
constexpr int most_races = 20;
// As managedFields name who changed a budget.
constexpr std::string_view budget_writer = "kube-apiserver";

Status over_budget(std::string why, int retry_after_seconds) {
  Status status = too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after_seconds);
  auto details = std::make_shared<StatusDetails>(status.details ? *status.details : StatusDetails{});
  details->causes.push_back({"DisruptionBudget", std::move(why), ""});
  status.details = std::move(details);
  return status;
}

Status still_processed(std::string_view budget) {
  return over_budget(fmt::format("The disruption budget {} is still being processed by the server.", budget), 10);
}

bool is_terminal(Pod pod) { return pod.status().phase() == "Succeeded" || pod.status().phase() == "Failed"; }

// It disrupts nothing that was not disrupted already.
bool can_ignore_budget(Pod pod) {
  return is_terminal(pod) || pod.status().phase() == "Pending" || pod.metadata().has_deletionTimestamp();
}

bool is_ready(Pod pod) {
  for (const auto condition : pod.status().conditions())
    if (condition.type() == "Ready") return condition.status() == "True";
  return false;
}

bool is_selected(PodDisruptionBudget budget, Pod pod) {
  const auto selector = budget.spec().selector();
  if (!selector) return false;
  LabelSelectorParts parts;
  for (const auto& [key, value] : selector.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto e : selector.matchExpressions()) {
    LabelExpression one{std::string(e.key()), std::string(e.operator_()), {}};
    for (const auto value : e.values()) one.values.emplace_back(value);
    parts.match_expressions.push_back(std::move(one));
  }
  const auto built = LabelSelector::from_parts(&parts);
  if (!built) return false;
  const auto labels = pod.metadata().labels();
  return built->matches([&](std::string_view key) -> std::optional<std::string_view> {
    if (!labels.contains(key)) return std::nullopt;
    return labels.get(key);
  });
}

// Why nothing may be disrupted; whether the numbers are to be trusted is the condition's word.
std::string refusal(PodDisruptionBudget budget) {
  const auto status = budget.status();
  const std::string_view name = budget.metadata().name();
  Condition condition;
  for (const auto one : status.conditions())
    if (one.type() == allowed_condition) condition = one;
  const bool has_reason = condition && condition.status() == "False" && !condition.message().empty();
  if (has_reason && condition.reason() == "SyncFailed")
    return fmt::format("The disruption budget {} does not allow evicting pods currently because it failed sync: {}", name, condition.message());
  if (status.currentHealthy() <= status.desiredHealthy())
    return fmt::format("The disruption budget {} needs {} healthy pods and has {} currently", name, status.desiredHealthy(), status.currentHealthy());
  if (has_reason)
    return fmt::format("The disruption budget {} does not allow evicting pods currently ({}): {}", name, condition.reason(), condition.message());
  return fmt::format("The disruption budget {} does not allow evicting pods currently", name);
}

Result<void> check_budget(PodDisruptionBudget budget) {
  const auto status = budget.status();
  const GroupResource what{"policy", "poddisruptionbudget"};
  const std::string_view name = budget.metadata().name();
  if (status.observedGeneration() < budget.metadata().generation()) return still_processed(name);
  if (status.disruptionsAllowed() < 0) return forbidden(what, name, "pdb disruptions allowed is negative");
  if (const Value* pods = status ? status.value()->get(PodDisruptionBudgetStatus::f_disruptedPods) : nullptr; pods && pods->size > most_disrupted_pods)
    return forbidden(what, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  if (status.disruptionsAllowed() == 0) return over_budget(refusal(budget), 0);
  return {};
}

void forbid_more(Arena& arena, Value& status, std::int64_t now_us) {
  Value& conditions = ensure(arena, status, PodDisruptionBudgetStatus::f_conditions, ValueKind::list);
  Value* condition = nullptr;
  for (Value& one : conditions.children())
    if (Condition(&one).type() == allowed_condition) condition = &one;
  if (!condition) condition = &append_structure(arena, conditions);
  if (Condition(condition).status() != "False") set_time(arena, *condition, Condition::f_lastTransitionTime, now_us);
  set_string(arena, *condition, Condition::f_type, allowed_condition);
  set_string(arena, *condition, Condition::f_status, "False");
  set_string(arena, *condition, Condition::f_reason, "InsufficientPods");
  set_string(arena, *condition, Condition::f_message, "");
  set_integer(arena, *condition, Condition::f_observedGeneration, PodDisruptionBudgetStatus(&status).observedGeneration());
}

// One disruption less, and the budget's controller is told of the Pod that it counted as there.
void take_one(Arena& arena, Value& budget, std::string_view pod, std::int64_t now_us) {
  Value& status = ensure(arena, budget, PodDisruptionBudget::f_status);
  const std::int64_t left = PodDisruptionBudgetStatus(&status).disruptionsAllowed() - 1;
  set_integer(arena, status, PodDisruptionBudgetStatus::f_disruptionsAllowed, left);
  if (left == 0) forbid_more(arena, status, now_us);
  Value& pods = ensure(arena, status, PodDisruptionBudgetStatus::f_disruptedPods, ValueKind::map);
  assign(set_key(arena, pods, pod), Value::of_time(now_us));
}

void mark_as_target(Arena& arena, Value& pod, std::int64_t now_us) {
  Value& conditions = ensure(arena, ensure(arena, pod, Pod::f_status), core_v1::PodStatus::f_conditions, ValueKind::list);
  Value* target = nullptr;
  for (Value& one : conditions.children())
    if (PodCondition(&one).type() == "DisruptionTarget") target = &one;
  if (!target) target = &append_structure(arena, conditions);
  if (PodCondition(target).status() != "True") set_time(arena, *target, PodCondition::f_lastTransitionTime, now_us);
  set_string(arena, *target, PodCondition::f_type, "DisruptionTarget");
  set_string(arena, *target, PodCondition::f_status, "True");
  set_string(arena, *target, PodCondition::f_reason, "EvictionByEvictionAPI");
  set_string(arena, *target, PodCondition::f_message, "Eviction API: evicting");
}

// As of any DELETE.
Result<void> check_propagation(const DeleteOptions& options) {
  const std::string& policy = options.propagation_policy;
  if (policy.empty()) return {};
  std::string what;
  if (options.orphan_dependents)
    what = fmt::format("Invalid value: \"{}\": orphanDependents and deletionPropagation cannot be both set", policy);
  else if (policy != "Orphan" && policy != "Background" && policy != "Foreground")
    what = fmt::format("Unsupported value: \"{}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"", policy);
  if (what.empty()) return {};
  return invalid("meta.k8s.io", "DeleteOptions", "", {{options.orphan_dependents ? "FieldValueInvalid" : "FieldValueNotSupported", what, "propagationPolicy"}}, "propagationPolicy: " + what);
}

// What the Eviction says about the deletion; its dryRun and the request's must not contradict each other.
Result<DeleteOptions> read_options(Call& call, policy_v1::Eviction eviction) {
  const auto wanted = eviction.deleteOptions();
  if (wanted.ignoreStoreReadErrorWithClusterBreakingPotential()) {
    const std::string field = "deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential";
    const std::string what = "Invalid value: true: can not be set for pod eviction, try after removing the option";
    return invalid("policy", "Eviction", call.info.name, {{"FieldValueInvalid", what, field}}, fmt::format("{}: {}", field, what));
  }
  std::vector<std::string> dry_run;
  for (const auto word : wanted.dryRun()) dry_run.emplace_back(word);
  if (!dry_run.empty() && call.dry_run && dry_run != std::vector<std::string>{"All"})
    return Status(500, "", fmt::format("Non-matching dry-run options in request and content: [All] and [{}]", fmt::join(dry_run, " ")));
  call.dry_run |= !dry_run.empty();
  DeleteOptions options;
  if (wanted.has_gracePeriodSeconds()) options.grace_period_s = wanted.gracePeriodSeconds();
  if (wanted.has_orphanDependents()) options.orphan_dependents = wanted.orphanDependents();
  options.propagation_policy = wanted.propagationPolicy();
  if (wanted.preconditions().has_uid()) options.uid = std::string(wanted.preconditions().uid());
  if (wanted.preconditions().has_resourceVersion()) options.resource_version = std::string(wanted.preconditions().resourceVersion());
  RN_CHECK(check_propagation(options));
  return options;
}

Result<void> check_preconditions(const DeleteOptions& options, meta_v1::ObjectMeta metadata) {
  const GroupResource what{"", "Pod"};
  if (options.uid && !options.uid->empty() && *options.uid != metadata.uid())
    return conflict(what, metadata.name(), fmt::format("the UID in the precondition ({}) does not match the UID in record ({}). The object might have been deleted and then recreated", *options.uid, metadata.uid()));
  if (options.resource_version && !options.resource_version->empty() && *options.resource_version != metadata.resourceVersion())
    return conflict(what, metadata.name(), fmt::format("the ResourceVersion in the precondition ({}) does not match the ResourceVersion in record ({}). The object might have been modified", *options.resource_version, metadata.resourceVersion()));
  return {};
}

// One request's way from the Pod over its budget to the deletion.
class PodEviction {
 public:
  PodEviction(Resources& resources, Call& call, DeleteOptions options) : resources_(resources), call_(call), options_(std::move(options)) {}
  Task<Result<void>> run();

 private:
  Task<Result<void>> read_pod();
  Task<Result<void>> evict_by_budget();
  Task<Result<void>> take_from_budget(std::string name);
  Task<Result<void>> mark_and_remove(DeleteOptions options);
  Pod pod() const { return Pod(&pod_->document.root()); }
  std::string pod_version() const { return std::string(pod().metadata().resourceVersion()); }

  Resources& resources_;
  Call& call_;
  const DeleteOptions options_;
  EntryPtr pod_;
};

Task<Result<void>> PodEviction::read_pod() {
  auto found = co_await resources_.fresh(call_, call_.info.name);
  if (!found) co_return found.error();
  if (!*found) co_return not_found({"", "pods"}, call_.info.name);
  pod_ = *found;
  co_return Result<void>{};
}

Task<Result<void>> PodEviction::run() {
  for (int attempt = 0;; ++attempt) {
    RN_CO_CHECK(co_await read_pod());
    if (!can_ignore_budget(pod())) co_return co_await evict_by_budget();
    // A Pending Pod may become ready, and count, this moment: then everything is asked again.
    DeleteOptions options = options_;
    const bool is_guarded = !is_terminal(pod()) && !pod().metadata().has_deletionTimestamp() && !options_.resource_version;
    if (is_guarded) options.resource_version = pod_version();
    auto removed = co_await mark_and_remove(std::move(options));
    const bool is_outrun = !removed && removed.error().is("Conflict") && is_guarded;
    if (!is_outrun || attempt >= most_races) co_return removed;
    if (options_.uid && *options_.uid != pod().metadata().uid()) co_return removed;  // no new attempt changes that
  }
}

Task<Result<void>> PodEviction::evict_by_budget() {
  std::vector<Document> budgets = resources_.cacher().list("policy", "poddisruptionbudgets", call_.info.name_space);
  std::erase_if(budgets, [&](const Document& one) { return !is_selected(PodDisruptionBudget(&one.root()), pod()); });
  if (budgets.size() > 1)
    co_return Status(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  if (budgets.empty()) co_return co_await mark_and_remove(options_);

  const PodDisruptionBudget budget(&budgets[0].root());
  const auto status = budget.status();
  const std::string name(budget.metadata().name());
  const bool has_enough = status.currentHealthy() >= status.desiredHealthy() && status.desiredHealthy() > 0;
  // An unhealthy Pod is in no count, so its end takes nothing from the budget.
  if (is_ready(pod()) || (budget.spec().unhealthyPodEvictionPolicy() != "AlwaysAllow" && !has_enough)) {
    RN_CO_CHECK(co_await take_from_budget(name));
    co_return co_await mark_and_remove(options_);
  }
  // If it stays so until it goes.
  DeleteOptions options = options_;
  options.resource_version = pod_version();
  auto removed = co_await mark_and_remove(std::move(options));
  if (!removed && removed.error().is("Conflict") && !options_.resource_version) co_return still_processed(name);
  co_return removed;
}

Task<Result<void>> PodEviction::take_from_budget(std::string name) {
  Call call;
  call.registry = call_.registry;
  call.kind = call.registry->find_kind("policy/v1", "PodDisruptionBudget");
  call.subresource = call.kind->find_subresource("status");
  call.info.is_resource = true;
  call.info.verb = "update";
  call.info.api_group = "policy";
  call.info.api_version = "v1";
  call.info.resource = call.kind->resource;
  call.info.subresource = "status";
  call.info.name_space = call_.info.name_space;
  call.info.name = name;
  // The budget is the server's to change, whoever evicts.
  call.user.name = "system:apiserver";
  call.user.groups = {std::string(group_masters), std::string(group_authenticated)};
  call.user_agent = budget_writer;
  call.now_us = call_.now_us;
  call.dry_run = call_.dry_run;
  const std::int64_t now_us = call.now_us - call.now_us % 1'000'000;
  Resources::Change change = [this, &call, now_us](const EntryPtr& before, Value& object) -> Result<void> {
    RN_CHECK(check_budget(PodDisruptionBudget(&before->document.root())));
    take_one(call.arena, object, call_.info.name, now_us);
    return resources_.prepare_update(call, object, before);
  };
  auto written = co_await resources_.modify(call, name, change);
  if (!written) co_return written.error();
  co_return Result<void>{};
}

// The Pod's own status says why it goes, for whoever watches it.
Task<Result<void>> PodEviction::mark_and_remove(DeleteOptions options) {
  if (!call_.dry_run) {
    const std::int64_t now_us = call_.now_us - call_.now_us % 1'000'000;
    Resources::Change change = [this, &options, now_us](const EntryPtr& before, Value& object) -> Result<void> {
      RN_CHECK(check_preconditions(options, Pod(&before->document.root()).metadata()));
      mark_as_target(call_.arena, object, now_us);
      return {};
    };
    auto marked = co_await resources_.modify(call_, call_.info.name, change);
    if (!marked) co_return marked.error();
    if (marked->deleted) co_return Result<void>{};
    if (options.resource_version) options.resource_version = std::string(Pod(&marked->object).metadata().resourceVersion());
  }
  auto removed = co_await resources_.remove(call_, std::move(options));
  if (!removed) co_return removed.error();
  co_return Result<void>{};
}

}  // namespace

Task<Result<Written>> evict_pod(Resources& resources, const AdmissionChain& admission, Call& call, Value object) {
  RN_CO_CHECK(co_await admit_create(resources, admission, call, object));
  const policy_v1::Eviction eviction(&object);
  if (eviction.metadata().name() != call.info.name) co_return bad_request("name in URL does not match name in Eviction object");
  auto options = read_options(call, eviction);
  if (!options) co_return options.error();
  PodEviction process(resources, call, std::move(*options));
  RN_CO_CHECK(co_await process.run());
  co_return success(call, 201);
}

}  // namespace rusternetes::api_server
