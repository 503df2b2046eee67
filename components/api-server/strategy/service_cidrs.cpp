// ServiceCIDRs (pkg/registry/networking/servicecidr, KEP 1880).

#include <optional>

#include "api-server/strategy.h"
#include "api-server/strategy/checks.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/cidr.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using networking_v1::ServiceCIDR;
using networking_v1::ServiceCIDRSpec;

namespace {

std::optional<bool> is_v4(std::string_view block) {
  const auto parsed = Cidr::parse_sloppy(block);
  if (!parsed) return std::nullopt;
  return parsed->is_v4();
}

void check_blocks(const ServiceCIDRSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const auto blocks = spec.cidrs();
  if (blocks.empty()) {
    errors.push_back(field::required(path, "at least one CIDR required"));
    return;
  }
  std::string json;
  encode_json(json, *spec.value(), ServiceCIDRSpec::schema_type());
  if (blocks.size() > 2) {
    errors.push_back(field::invalid(path, BadValue::json(json), "may only hold up to 2 values"));
    return;
  }
  std::int64_t i = 0;
  for (const auto block : blocks) errors.push_invalid(path.index(i++), block, is_valid_cidr(block));
  if (blocks.size() == 2 && is_v4(blocks[0]) && is_v4(blocks[0]) == is_v4(blocks[1]))
    errors.push_back(field::invalid(path, BadValue::json(json), "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
}

class ServiceCIDRStrategy final : public Strategy {
 public:
  // Status may be set at creation.
  void prepare_for_create(const StrategyContext&, Value&) const override {}
  void prepare_for_update(const StrategyContext&, Value&, const Value&) const override {}
  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    Strategy::prepare_for_status_update(context, object, old);
    keep_metadata(context, object, old);
  }

  FieldSet reset_fields(Arena& arena, const Kind& kind, std::string_view subresource) const override {
    return subresource == "status" ? FieldSet{} : Strategy::reset_fields(arena, kind, subresource);
  }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const FieldPath spec("spec");
    check_blocks(ServiceCIDR(&object).spec(), spec.child("cidrs"), errors);
  }
  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const FieldPath spec("spec"), path = spec.child("cidrs");
    const auto now = ServiceCIDR(&object).spec().cidrs(), then = ServiceCIDR(&old).spec().cidrs();
    const bool grows = then.size() == 1 && now.size() == 2;  // a second family may be added
    if (now.size() != then.size() && !grows) {
      errors.push_back(field::invalid(path, BadValue::omitted(), field_is_immutable));
      return;
    }
    for (std::size_t i = 0; i < then.size(); ++i)
      if (now[i] != then[i]) errors.push_back(field::invalid(path.index(static_cast<std::int64_t>(i)), now[i], field_is_immutable));
    if (grows) check_blocks(ServiceCIDR(&object).spec(), path, errors);
  }
};

}  // namespace

const Strategy& servicecidrs_strategy() {
  static const ServiceCIDRStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
