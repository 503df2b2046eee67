// Deployments and ReplicaSets (pkg/registry/apps).

#include "api-server/strategy.h"
#include "api-server/strategy/pod_defaults.h"
#include "apimachinery/api/apps_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/label_selector.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

// The selector must select the template's Pods, or the controller would make them for ever.
void validate_selector(const meta_v1::LabelSelector& selector, const core_v1::PodTemplateSpec& pod_template, FieldErrorList& errors) {
  const FieldPath spec("spec");
  if (!selector) {
    errors.push_back(field::required(spec.child("selector")));
    return;
  }
  LabelSelectorParts parts;
  for (const auto& [key, value] : selector.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto e : selector.matchExpressions()) {
    LabelExpression one{std::string(e.key()), std::string(e.operator_()), {}};
    for (const auto v : e.values()) one.values.emplace_back(v);
    parts.match_expressions.push_back(std::move(one));
  }
  errors.append(validate_label_selector(parts, spec.child("selector")));
  if (parts.match_labels.empty() && parts.match_expressions.empty())
    errors.push_back(field::invalid(spec.child("selector"), BadValue::json("{}"), "empty selector is invalid for deployment"));
  auto built = LabelSelector::from_parts(&parts);
  const auto labels = pod_template.metadata().labels();
  const bool is_match = built && built->matches([&](std::string_view key) -> std::optional<std::string_view> {
    const Value* value = labels.find(key);
    return value ? std::optional(value->str()) : std::nullopt;
  });
  if (!is_match) {
    std::string json = "{";
    for (const auto& [key, value] : labels) json += (json.size() > 1 ? "," : "") + ("\"" + std::string(key) + "\":\"" + std::string(value) + "\"");
    errors.push_back(field::invalid(spec.child("template.metadata.labels"), BadValue::json(json + "}"), "`selector` does not match template `labels`"));
  }
}

void validate_containers(const core_v1::PodSpec& pod_spec, FieldErrorList& errors) {
  const FieldPath list("spec.template.spec.containers");
  if (pod_spec.containers().empty()) errors.push_back(field::required(list));
  std::int64_t i = 0;
  for (const auto container : pod_spec.containers()) {
    const FieldPath at = list.index(i++);
    if (container.name().empty()) errors.push_back(field::required(at.child("name")));
    if (container.image().empty()) errors.push_back(field::required(at.child("image")));
  }
  if (pod_spec.restartPolicy() != "Always")
    errors.push_back(field::not_supported(FieldPath("spec.template.spec.restartPolicy"), std::string(pod_spec.restartPolicy()), {"Always"}));
}

void immutable_selector(const Value* now, const Value* then, FieldErrorList& errors) {
  if (!now != !then || (now && !equal(*now, *then)))
    errors.push_back(field::invalid(FieldPath("spec").child("selector"), BadValue::omitted(), "field is immutable"));
}

class DeploymentStrategy final : public Strategy {
 public:
  using D = apps_v1::Deployment;
  using S = apps_v1::DeploymentSpec;
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, D::f_spec);
    if (!spec.get(S::f_replicas)) set_integer(arena, spec, S::f_replicas, 1);
    if (!spec.get(S::f_revisionHistoryLimit)) set_integer(arena, spec, S::f_revisionHistoryLimit, 10);
    if (!spec.get(S::f_progressDeadlineSeconds)) set_integer(arena, spec, S::f_progressDeadlineSeconds, 600);
    Value& strategy = ensure(arena, spec, S::f_strategy);
    if (apps_v1::DeploymentStrategy(&strategy).type().empty()) set_string(arena, strategy, apps_v1::DeploymentStrategy::f_type, "RollingUpdate");
    if (apps_v1::DeploymentStrategy(&strategy).type() == "RollingUpdate") {
      using R = apps_v1::RollingUpdateDeployment;
      Value& rolling = ensure(arena, strategy, apps_v1::DeploymentStrategy::f_rollingUpdate);
      if (!rolling.get(R::f_maxUnavailable)) set_string(arena, rolling, R::f_maxUnavailable, "25%");
      if (!rolling.get(R::f_maxSurge)) set_string(arena, rolling, R::f_maxSurge, "25%");
    }
    set_pod_template_defaults(arena, ensure(arena, *object.get(D::f_spec), S::f_template_));
  }
  bool has_generation() const override { return true; }
  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const D deployment(&object);
    if (deployment.spec().replicas() < 0)
      errors.push_back(field::invalid(FieldPath("spec").child("replicas"), deployment.spec().replicas(), "must be greater than or equal to 0"));
    validate_selector(deployment.spec().selector(), deployment.spec().template_(), errors);
    validate_containers(deployment.spec().template_().spec(), errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate(context, object, errors);
    immutable_selector(D(&object).spec().selector().value(), D(&old).spec().selector().value(), errors);
  }
};

class ReplicaSetStrategy final : public Strategy {
 public:
  using R = apps_v1::ReplicaSet;
  using S = apps_v1::ReplicaSetSpec;
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, R::f_spec);
    if (!spec.get(S::f_replicas)) set_integer(arena, spec, S::f_replicas, 1);
    set_pod_template_defaults(arena, ensure(arena, spec, S::f_template_));
  }
  bool has_generation() const override { return true; }
  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const R set(&object);
    if (set.spec().replicas() < 0)
      errors.push_back(field::invalid(FieldPath("spec").child("replicas"), set.spec().replicas(), "must be greater than or equal to 0"));
    validate_selector(set.spec().selector(), set.spec().template_(), errors);
    validate_containers(set.spec().template_().spec(), errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate(context, object, errors);
    immutable_selector(R(&object).spec().selector().value(), R(&old).spec().selector().value(), errors);
  }
  std::vector<std::string_view> selectable_fields() const override { return {"status.replicas"}; }
  std::string selectable_field(const Value& object, std::string_view) const override { return std::to_string(R(&object).status().replicas()); }
};

}  // namespace

const Strategy& deployments_strategy() {
  static const DeploymentStrategy strategy;
  return strategy;
}
const Strategy& replicasets_strategy() {
  static const ReplicaSetStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
