// PriorityClasses (pkg/registry/scheduling/priorityclass).

#include <fmt/format.h>

#include "api-server/strategy.h"
#include "api-server/strategy/checks.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/scheduling_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using scheduling_v1::PriorityClass;

namespace {

constexpr std::int64_t highest_user_priority = 1'000'000'000;

// Why a class whose name begins with "system-" is not one of the two that may; empty when it is.
std::string system_class_problem(const PriorityClass& object) {
  const std::string_view name = object.metadata().name();
  const std::int64_t value = name == "system-node-critical" ? 2'000'001'000 : name == "system-cluster-critical" ? 2'000'000'000 : 0;
  if (value == 0) return fmt::format("{} is not a known system priority class", name);
  if (object.value_() != value) return fmt::format("value of {} PriorityClass must be {}", name, value);
  if (object.globalDefault()) return fmt::format("globalDefault of {} PriorityClass must be false", name);
  return {};
}

class PriorityClassStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    default_text(arena, object, PriorityClass::f_preemptionPolicy, "PreemptLowerPriority");
  }
  bool has_generation() const override { return true; }
  void prepare_for_update(const StrategyContext&, Value&, const Value&) const override {}  // generation stays 1

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const PriorityClass view(&object);
    const FieldPath metadata("metadata");
    if (view.metadata().name().starts_with("system-")) {
      if (const std::string problem = system_class_problem(view); !problem.empty())
        errors.push_back(field::forbidden(metadata.child("name"), "priority class names with 'system-' prefix are reserved for system use only. error: " + problem));
    } else if (view.value_() > highest_user_priority) {
      errors.push_back(field::forbidden(FieldPath("value"), fmt::format("maximum allowed value of a user defined priority is {}", highest_user_priority)));
    }
    if (view.has_preemptionPolicy())
      check_enum(view.preemptionPolicy(), FieldPath("preemptionPolicy"), {"PreemptLowerPriority", "Never"}, errors);
  }
  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const PriorityClass now(&object), then(&old);
    if (now.value_() != then.value_()) errors.push_back(field::forbidden(FieldPath("value"), "may not be changed in an update."));
    if (now.preemptionPolicy() != then.preemptionPolicy())
      errors.push_back(field::invalid(FieldPath("preemptionPolicy"), now.preemptionPolicy(), field_is_immutable));
  }
};

}  // namespace

const Strategy& priorityclasses_strategy() {
  static const PriorityClassStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
