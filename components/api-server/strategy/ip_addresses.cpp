// IPAddresses: the addresses that Services hold (pkg/registry/networking/ipaddress, KEP 1880).

#include "api-server/strategy.h"
#include "api-server/strategy/workload_validation.h"
#include "apimachinery/api/networking_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using networking_v1::IPAddress;
using networking_v1::IPAddressSpec;

namespace {

class IPAddressStrategy final : public Strategy {
 public:
  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const FieldPath spec("spec"), path = spec.child("parentRef");
    const auto parent = IPAddress(&object).spec().parentRef();
    if (!parent) {
      errors.push_back(field::required(path));
      return;
    }
    if (!parent.group().empty()) check_dns_subdomain(parent.group(), path.child("group"), errors);
    const auto segment = [&](std::string_view value, std::string_view name, bool is_required) {
      if (value.empty()) {
        if (is_required) errors.push_back(field::required(path.child(name)));
      } else {
        errors.push_invalid(path.child(name), value, is_valid_path_segment_name(value));
      }
    };
    segment(parent.resource(), "resource", true);
    segment(parent.name(), "name", true);
    segment(parent.namespace_(), "namespace", false);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate(context, object, errors);
    const FieldPath spec("spec");
    validate_immutable(IPAddress(&object).spec().parentRef().value(), IPAddress(&old).spec().parentRef().value(),
                       networking_v1::ParentReference::schema_type(), spec.child("parentRef"), errors);
  }
  // A random end would make no address.
  std::string generated_name(std::string_view base) const override { return std::string(base); }
  std::vector<std::string> name_problems(std::string_view name, bool) const override { return is_valid_ip(name); }
};

}  // namespace

const Strategy& ipaddresses_strategy() {
  static const IPAddressStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
