// Deployments (pkg/apis/apps).

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_defaults.h"
#include "api-server/strategy/pod_preparation.h"
#include "api-server/strategy/workload_validation.h"
#include "apimachinery/api/apps_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using apps_v1::Deployment;
using apps_v1::DeploymentSpec;
using apps_v1::DeploymentStatus;
using meta_v1::ObjectMeta;

namespace {

void set_strategy_defaults(Arena& arena, Value& spec) {
  using Strategy = apps_v1::DeploymentStrategy;
  using Rolling = apps_v1::RollingUpdateDeployment;
  Value& strategy = ensure(arena, spec, DeploymentSpec::f_strategy);
  default_text(arena, strategy, Strategy::f_type, "RollingUpdate");
  if (Strategy(&strategy).type() != "RollingUpdate") return;
  Value& rolling = ensure(arena, strategy, Strategy::f_rollingUpdate);
  default_text(arena, rolling, Rolling::f_maxUnavailable, "25%");
  default_text(arena, rolling, Rolling::f_maxSurge, "25%");
}

void check_strategy(const apps_v1::DeploymentStrategy& strategy, const FieldPath& path, FieldErrorList& errors) {
  using Rolling = apps_v1::RollingUpdateDeployment;
  const FieldPath at = path.child("rollingUpdate");
  const auto rolling = strategy.rollingUpdate();
  if (strategy.type() == "Recreate") {
    if (rolling) errors.push_back(field::forbidden(at, "may not be specified when strategy `type` is 'Recreate'"));
  } else if (strategy.type() == "RollingUpdate") {
    if (!rolling) {
      errors.push_back(field::required(at, "this should be defaulted and never be nil"));
      return;
    }
    const Value *unavailable = rolling.value()->get(Rolling::f_maxUnavailable), *surge = rolling.value()->get(Rolling::f_maxSurge);
    validate_int_or_percent(unavailable, at.child("maxUnavailable"), errors);
    validate_int_or_percent(surge, at.child("maxSurge"), errors);
    if (int_or_percent(unavailable) == 0 && int_or_percent(surge) == 0)
      errors.push_back(field::invalid(at.child("maxUnavailable"), shown_int_or_string(unavailable), "may not be 0 when `maxSurge` is 0"));
    validate_at_most_100_percent(unavailable, at.child("maxUnavailable"), errors);
  } else {
    errors.push_back(field::not_supported(path, BadValue::json("{\"type\":\"" + std::string(strategy.type()) + "\"}"), {"Recreate", "RollingUpdate"}));
  }
}

void check_spec(const DeploymentSpec& spec, const PodValidationOptions& options, FieldErrorList& errors) {
  const FieldPath path("spec");
  check_nonnegative(spec.replicas(), path.child("replicas"), errors);
  validate_workload_selector(spec.selector(), "deployment", path.child("selector"), errors);
  validate_selected_template(spec.selector(), spec.template_(), "ReplicaSet", path, options, errors);
  check_strategy(spec.strategy(), path.child("strategy"), errors);
  check_nonnegative(spec.minReadySeconds(), path.child("minReadySeconds"), errors);
  check_nonnegative(spec.revisionHistoryLimit(), path.child("revisionHistoryLimit"), errors);
  if (!spec.has_progressDeadlineSeconds()) return;
  check_nonnegative(spec.progressDeadlineSeconds(), path.child("progressDeadlineSeconds"), errors);
  if (spec.progressDeadlineSeconds() <= spec.minReadySeconds())
    errors.push_back(field::invalid(path.child("progressDeadlineSeconds"), spec.progressDeadlineSeconds(), "must be greater than minReadySeconds"));
}

class DeploymentKind final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, Deployment::f_spec);
    default_integer(arena, spec, DeploymentSpec::f_replicas, 1);
    set_strategy_defaults(arena, spec);
    default_integer(arena, spec, DeploymentSpec::f_revisionHistoryLimit, 10);
    default_integer(arena, spec, DeploymentSpec::f_progressDeadlineSeconds, 600);
    set_pod_template_defaults(arena, ensure(arena, spec, DeploymentSpec::f_template_));
  }
  bool has_generation() const override { return true; }
  FieldSet reset_fields(Arena& arena, const Kind&, std::string_view subresource) const override {
    return subresource == "status" ? field_set_of(arena, {{"spec"}, {"metadata", "labels"}}) : field_set_of(arena, {{"status"}});
  }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    Strategy::prepare_for_create(context, object);
    drop_disabled(context, object, {});
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    drop_disabled(context, object, Deployment(&old).spec().template_());
    Strategy::prepare_for_update(context, object, old);
    // Annotations are copied to ReplicaSets, so a change of them is one to act upon.
    const ObjectMeta now = Deployment(&object).metadata(), then = Deployment(&old).metadata();
    if (!is_same_loosely(now.annotations().value(), then.annotations().value()))
      set_generation(context, object, then.generation() + 1);
  }
  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    Strategy::prepare_for_status_update(context, object, old);
    take_field(context.arena, ensure(context.arena, object, Deployment::f_metadata), *old.get(Deployment::f_metadata), ObjectMeta::f_labels);
  }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    check_spec(Deployment(&object).spec(), template_options(context.allow_privileged), errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const DeploymentSpec now = Deployment(&object).spec(), then = Deployment(&old).spec();
    check_spec(now, template_update_options(then.template_(), context.allow_privileged), errors);
    const FieldPath path("spec");
    validate_immutable(now.selector().value(), then.selector().value(), meta_v1::LabelSelector::schema_type(), path.child("selector"), errors);
  }
  void validate_status_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const DeploymentStatus status = Deployment(&object).status();
    const FieldPath path("status");
    check_nonnegative(status.observedGeneration(), path.child("observedGeneration"), errors);
    check_nonnegative(status.replicas(), path.child("replicas"), errors);
    check_nonnegative(status.updatedReplicas(), path.child("updatedReplicas"), errors);
    check_nonnegative(status.readyReplicas(), path.child("readyReplicas"), errors);
    check_nonnegative(status.availableReplicas(), path.child("availableReplicas"), errors);
    check_nonnegative(status.unavailableReplicas(), path.child("unavailableReplicas"), errors);
    check_nonnegative(status.terminatingReplicas(), path.child("terminatingReplicas"), errors);
    check_nonnegative(status.collisionCount(), path.child("collisionCount"), errors);
    constexpr std::string_view total = "cannot be greater than status.replicas";
    validate_at_most({"updatedReplicas", status.updatedReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"readyReplicas", status.readyReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"availableReplicas", status.availableReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"availableReplicas", status.availableReplicas()}, status.readyReplicas(), "cannot be greater than readyReplicas", path, errors);
    validate_not_decremented(descend(&object, Deployment::f_status, DeploymentStatus::f_collisionCount),
                             descend(&old, Deployment::f_status, DeploymentStatus::f_collisionCount), path.child("collisionCount"), errors);
  }

 private:
  static void drop_disabled(const StrategyContext& context, Value& object, const core::PodTemplateSpec& old) {
    Value& spec = ensure(context.arena, object, Deployment::f_spec);
    drop_disabled_template_fields(context.arena, spec.get(DeploymentSpec::f_template_), old);
  }
};

}  // namespace

const Strategy& deployments_strategy() {
  static const DeploymentKind strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
