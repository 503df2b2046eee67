// Secrets (pkg/registry/core/secret).

#include "api-server/strategy.h"
#include "api-server/strategy/data_maps.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Secret;

namespace {

void check_json_key(const TextMap& data, std::string_view key, const FieldPath& path, FieldErrorList& errors) {
  const Value* content = data.find(key);
  if (!content) {
    errors.push_back(field::required(path.key(key)));
    return;
  }
  Arena arena;
  const auto json = decode_json_any(arena, content->str());
  if (json && (json->kind == ValueKind::map || json->is_null())) return;
  errors.push_back(field::invalid(path.key(key), "<secret contents redacted>",
                                  json ? "json: cannot unmarshal into Go value of type map[string]interface {}" : json.error().message));
}

// Some types promise what their data holds.
void check_type(const Secret& secret, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view type = secret.type();
  const TextMap data(secret.value()->get(Secret::f_data));
  const auto required = [&](std::string_view key) {
    if (!data.contains(key)) errors.push_back(field::required(path.key(key)));
  };
  if (type == "kubernetes.io/service-account-token") {
    constexpr std::string_view key = "kubernetes.io/service-account.name";
    const FieldPath metadata("metadata");
    if (secret.metadata().annotations().get(key).empty())
      errors.push_back(field::required(metadata.child("annotations").key(key)));
  } else if (type == "kubernetes.io/dockercfg") {
    check_json_key(data, ".dockercfg", path, errors);
  } else if (type == "kubernetes.io/dockerconfigjson") {
    check_json_key(data, ".dockerconfigjson", path, errors);
  } else if (type == "kubernetes.io/basic-auth") {
    if (data.contains("username") || data.contains("password")) return;
    required("username");
    required("password");
  } else if (type == "kubernetes.io/ssh-auth") {
    if (data.get("ssh-privatekey").empty()) errors.push_back(field::required(path.key("ssh-privatekey")));
  } else if (type == "kubernetes.io/tls") {
    required("tls.crt");
    required("tls.key");
  }
}

class SecretStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    default_text(arena, object, Secret::f_type, "Opaque");
    const Value* text = object.get(Secret::f_stringData);
    if (!text) return;
    const Value written = *text;  // goes into data, and is never read back
    erase_field(object, Secret::f_stringData);
    Value& data = ensure(arena, object, Secret::f_data, ValueKind::map);
    for (const auto& [key, value] : TextMap(&written)) assign(set_key(arena, data, key), Value::of_text(value, ValueKind::bytes));
  }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const FieldPath path("data");
    const std::size_t total = check_data_keys(TextMap(object.get(Secret::f_data)), path, errors);
    if (total > max_data_bytes) errors.push_back(field::too_long(path, max_data_bytes));
    check_type(Secret(&object), path, errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    if (Secret(&object).type() != Secret(&old).type())
      errors.push_back(field::invalid(FieldPath("type"), Secret(&object).type(), field_is_immutable));
    if (Secret(&old).immutable()) {
      check_still_immutable(Secret(&object).immutable(), errors);
      check_same_data(object.get(Secret::f_data), old.get(Secret::f_data), "data", errors);
    }
    validate(context, object, errors);
  }

  std::vector<std::string_view> selectable_fields() const override { return {"type"}; }
  std::string selectable_field(const Value& object, std::string_view) const override { return std::string(Secret(&object).type()); }
};

}  // namespace

const Strategy& secrets_strategy() {
  static const SecretStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
