// HorizontalPodAutoscalers of both versions (pkg/apis/autoscaling).

#include "api-server/strategy.h"
#include "api-server/strategy/autoscaling_conversion.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/autoscaling_v1.h"
#include "apimachinery/api/autoscaling_v2.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using autoscaling_v2::HorizontalPodAutoscaler;
using Spec = autoscaling_v2::HorizontalPodAutoscalerSpec;
using Behavior = autoscaling_v2::HorizontalPodAutoscalerBehavior;
using Policy = autoscaling_v2::HPAScalingPolicy;
using Rules = autoscaling_v2::HPAScalingRules;
using V1 = autoscaling_v1::HorizontalPodAutoscaler;
using V1Spec = autoscaling_v1::HorizontalPodAutoscalerSpec;

namespace {

constexpr std::int64_t policy_period_s = 15;

void append_policy(Arena& arena, Value& policies, std::string_view type, std::int64_t value) {
  Value& policy = append_structure(arena, policies);
  default_text(arena, policy, Policy::f_type, type);
  default_integer(arena, policy, Policy::f_value_, value);
  default_integer(arena, policy, Policy::f_periodSeconds, policy_period_s);
}

void set_rules_defaults(Arena& arena, Value& rules, bool is_up) {
  // For going down it is the controller's own setting that counts.
  if (is_up) default_integer(arena, rules, Rules::f_stabilizationWindowSeconds, 0);
  default_text(arena, rules, Rules::f_selectPolicy, "Max");
  if (rules.get(Rules::f_policies)) return;
  Value& policies = ensure(arena, rules, Rules::f_policies, ValueKind::list);
  if (is_up) append_policy(arena, policies, "Pods", 4);
  append_policy(arena, policies, "Percent", 100);
}

class HorizontalPodAutoscalerKind final : public Strategy {
 public:
  void set_defaults(const Kind& kind, Arena& arena, Value& object) const override {
    // Version 1 has its target's default in conversion, where the annotations show whether there are other
    // metrics.
    if (kind.type == &V1::schema_type()) {
      default_integer(arena, ensure(arena, object, V1::f_spec), V1Spec::f_minReplicas, 1);
      return;
    }
    if (Value* metadata = object.get(HorizontalPodAutoscaler::f_metadata))
      drop_round_trip_annotations(arena, *metadata);
    Value& spec = ensure(arena, object, HorizontalPodAutoscaler::f_spec);
    default_integer(arena, spec, Spec::f_minReplicas, 1);
    if (Spec(&spec).metrics().empty())
      append_cpu_metric(arena, ensure(arena, spec, Spec::f_metrics, ValueKind::list),
                        default_cpu_utilization);
    Value* behavior = spec.get(Spec::f_behavior);
    if (!behavior) return;
    set_rules_defaults(arena, ensure(arena, *behavior, Behavior::f_scaleUp), true);
    set_rules_defaults(arena, ensure(arena, *behavior, Behavior::f_scaleDown), false);
  }
};

}  // namespace

const Strategy& horizontalpodautoscalers_strategy() {
  static const HorizontalPodAutoscalerKind strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
