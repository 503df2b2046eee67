// resource.k8s.io

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/resource_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

template <class Object>
void print_name_and_age(Cells& cells, const Value& object, std::int64_t now_us) {
  const Object one(&object);
  cells.text(one.metadata().name());
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
}

std::string claim_state(const resource_v1::ResourceClaim& claim) {
  const bool is_deleted = claim.metadata().has_deletionTimestamp();
  if (!claim.status().has_allocation()) return is_deleted ? "deleted" : "pending";
  std::string out = is_deleted ? "deleted,allocated" : "allocated";
  return claim.status().reservedFor().empty() ? out : out + ",reserved";
}

void print_claim(Cells& cells, const Value& object, std::int64_t now_us) {
  const resource_v1::ResourceClaim claim(&object);
  cells.text(claim.metadata().name());
  cells.text(claim_state(claim));
  cells.text(age_of(claim.metadata().creationTimestamp(), now_us));
}

void print_slice(Cells& cells, const Value& object, std::int64_t now_us) {
  const resource_v1::ResourceSlice slice(&object);
  cells.text(slice.metadata().name());
  cells.text(slice.spec().nodeName());
  cells.text(slice.spec().driver());
  cells.text(slice.spec().pool().name());
  cells.text(age_of(slice.metadata().creationTimestamp(), now_us));
}

constexpr std::string_view group = "resource.k8s.io";
constexpr PrinterEntry printers[] = {
    {group, "", "deviceclasses", print_name_and_age<resource_v1::DeviceClass>},
    {group, "", "resourceclaimtemplates", print_name_and_age<resource_v1::ResourceClaimTemplate>},
    {group, "", "resourceclaims", print_claim},
    {group, "", "resourceslices", print_slice},
};

}  // namespace

std::span<const PrinterEntry> resource_printers() { return printers; }

}  // namespace rusternetes::api_server
