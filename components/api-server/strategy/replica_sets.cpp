// ReplicaSets (pkg/apis/apps).

#include <string>

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_defaults.h"
#include "api-server/strategy/pod_preparation.h"
#include "api-server/strategy/workload_validation.h"
#include "apimachinery/api/apps_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using apps_v1::ReplicaSet;
using apps_v1::ReplicaSetSpec;

namespace {

void check_spec(const ReplicaSetSpec& spec, const PodValidationOptions& options, FieldErrorList& errors) {
  const FieldPath path("spec");
  check_nonnegative(spec.replicas(), path.child("replicas"), errors);
  check_nonnegative(spec.minReadySeconds(), path.child("minReadySeconds"), errors);
  validate_workload_selector(spec.selector(), "deployment", path.child("selector"), errors);
  validate_selected_template(spec.selector(), spec.template_(), "ReplicaSet", path, options, errors);
}

class ReplicaSetKind final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, ReplicaSet::f_spec);
    default_integer(arena, spec, ReplicaSetSpec::f_replicas, 1);
    set_pod_template_defaults(arena, ensure(arena, spec, ReplicaSetSpec::f_template_));
  }
  bool has_generation() const override { return true; }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    Strategy::prepare_for_create(context, object);
    drop_disabled(context, object, {});
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    drop_disabled(context, object, ReplicaSet(&old).spec().template_());
    Strategy::prepare_for_update(context, object, old);
  }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    check_spec(ReplicaSet(&object).spec(), template_options(context.allow_privileged), errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const ReplicaSetSpec now = ReplicaSet(&object).spec(), then = ReplicaSet(&old).spec();
    check_spec(now, template_update_options(then.template_(), context.allow_privileged), errors);
    const FieldPath path("spec");
    validate_immutable(now.selector().value(), then.selector().value(), meta_v1::LabelSelector::schema_type(), path.child("selector"), errors);
  }
  void validate_status_update(const StrategyContext&, const Value& object, const Value&, FieldErrorList& errors) const override {
    const auto status = ReplicaSet(&object).status();
    const FieldPath path("status");
    check_nonnegative(status.replicas(), path.child("replicas"), errors);
    check_nonnegative(status.fullyLabeledReplicas(), path.child("fullyLabeledReplicas"), errors);
    check_nonnegative(status.readyReplicas(), path.child("readyReplicas"), errors);
    check_nonnegative(status.availableReplicas(), path.child("availableReplicas"), errors);
    check_nonnegative(status.observedGeneration(), path.child("observedGeneration"), errors);
    check_nonnegative(status.terminatingReplicas(), path.child("terminatingReplicas"), errors);
    constexpr std::string_view total = "cannot be greater than status.replicas";
    validate_at_most({"fullyLabeledReplicas", status.fullyLabeledReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"readyReplicas", status.readyReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"availableReplicas", status.availableReplicas()}, status.replicas(), total, path, errors);
    validate_at_most({"availableReplicas", status.availableReplicas()}, status.readyReplicas(), "cannot be greater than readyReplicas", path, errors);
  }

  std::vector<std::string_view> selectable_fields() const override { return {"status.replicas"}; }
  std::string selectable_field(const Value& object, std::string_view) const override {
    return std::to_string(ReplicaSet(&object).status().replicas());
  }

 private:
  static void drop_disabled(const StrategyContext& context, Value& object, const core::PodTemplateSpec& old) {
    Value& spec = ensure(context.arena, object, ReplicaSet::f_spec);
    drop_disabled_template_fields(context.arena, spec.get(ReplicaSetSpec::f_template_), old);
  }
};

}  // namespace

const Strategy& replicasets_strategy() {
  static const ReplicaSetKind strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
