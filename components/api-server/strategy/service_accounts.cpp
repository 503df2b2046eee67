// ServiceAccounts (pkg/registry/core/serviceaccount).

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::ObjectReference;
using core_v1::ServiceAccount;

namespace {

// Of a reference to a Secret only the name is kept.
void strip_secret_references(const StrategyContext& context, Value& object) {
  each_item(object, ServiceAccount::f_secrets, [&](Value& secret) {
    const ObjectReference view(&secret);
    const std::string_view name = view.name();
    if (secret.size == (name.empty() ? 0u : 1u)) return;
    Value stripped = Value::empty(ValueKind::structure);
    if (!name.empty()) assign(set_field(context.arena, stripped, ObjectReference::f_name), Value::of_text(name));
    assign(secret, stripped);
  });
}

class ServiceAccountStrategy final : public Strategy {
 public:
  void prepare_for_create(const StrategyContext& context, Value& object) const override { strip_secret_references(context, object); }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value&) const override { strip_secret_references(context, object); }
  bool returns_deleted_object() const override { return true; }
};

}  // namespace

const Strategy& serviceaccounts_strategy() {
  static const ServiceAccountStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
