// ConfigMaps (pkg/registry/core/configmap).

#include "api-server/strategy.h"
#include "api-server/strategy/data_maps.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::ConfigMap;

namespace {

class ConfigMapStrategy final : public Strategy {
 public:
  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const FieldPath data_path("data"), binary_path("binaryData");
    const TextMap data(object.get(ConfigMap::f_data)), binary(object.get(ConfigMap::f_binaryData));
    std::size_t total = check_data_keys(data, data_path, errors);
    if (!binary.empty())
      for (const auto& [key, value] : data)
        if (binary.contains(key)) errors.push_back(field::invalid(data_path.key(key), key, "duplicate of key present in binaryData"));
    total += check_data_keys(binary, binary_path, errors);
    if (total > max_data_bytes) errors.push_back(field::too_long(FieldPath("[]"), max_data_bytes));
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    if (ConfigMap(&old).immutable()) {
      check_still_immutable(ConfigMap(&object).immutable(), errors);
      check_same_data(object.get(ConfigMap::f_data), old.get(ConfigMap::f_data), "data", errors);
      check_same_data(object.get(ConfigMap::f_binaryData), old.get(ConfigMap::f_binaryData), "binaryData", errors);
    }
    validate(context, object, errors);
  }
};

}  // namespace

const Strategy& configmaps_strategy() {
  static const ConfigMapStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
