// Leases (pkg/registry/coordination/lease).

#include "api-server/strategy.h"
#include "api-server/strategy/checks.h"
#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/edit.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using coordination_v1::Lease;
using coordination_v1::LeaseSpec;

namespace {

// Coordinated leader election is off by default.
void drop_disabled(Value& object, const LeaseSpec& old) {
  Value* spec = object.get(Lease::f_spec);
  if (!spec) return;
  if (!old.has_strategy()) erase_field(*spec, LeaseSpec::f_strategy);
  if (!old.has_preferredHolder()) erase_field(*spec, LeaseSpec::f_preferredHolder);
}

class LeaseStrategy final : public Strategy {
 public:
  void prepare_for_create(const StrategyContext&, Value& object) const override { drop_disabled(object, {}); }
  void prepare_for_update(const StrategyContext&, Value& object, const Value& old) const override { drop_disabled(object, Lease(&old).spec()); }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const LeaseSpec spec = Lease(&object).spec();
    const FieldPath path("spec");
    if (spec.has_leaseDurationSeconds() && spec.leaseDurationSeconds() <= 0)
      errors.push_back(field::invalid(path.child("leaseDurationSeconds"), spec.leaseDurationSeconds(), "must be greater than 0"));
    check_nonnegative(spec.leaseTransitions(), path.child("leaseTransitions"), errors);
  }
  bool requires_qualified_finalizers() const override { return false; }
  bool allows_create_on_update() const override { return true; }
  bool allows_unconditional_update() const override { return false; }
};

}  // namespace

const Strategy& leases_strategy() {
  static const LeaseStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
