#pragma once
// Cluster IPs out of the ServiceCIDRs (KEP 1880; the two bands of a block: KEP 3070).

#include <random>
#include <string>
#include <vector>

#include "api-server/companions.h"
#include "api-server/strategy.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/cidr.h"

namespace rusternetes::api_server {

// Whether a Service may have the address out of this block: not the block's own and, of IPv4, not its broadcast address.
bool gives_out(const apimachinery::Cidr& block, const apimachinery::IpAddress& address);
// The IPAddress object says that this Service holds it: labels and parentRef.
void set_owner(apimachinery::Arena& arena, apimachinery::Value& object, const apimachinery::IpAddress& address,
               const apimachinery::meta_v1::ObjectMeta& service);
// A new one.
apimachinery::Value new_ip_address(apimachinery::Arena& arena, const apimachinery::IpAddress& address,
                                   const apimachinery::meta_v1::ObjectMeta& service, std::int64_t now_us);

class ServiceAddresses {
 public:
  ServiceAddresses(const StrategyContext& context, Companions& companions);

  // "IPv4", "IPv6": those the cluster has addresses of, its primary one first.
  const std::vector<std::string_view>& families() const { return families_; }
  // Any free one of the family; "range is full" where there is none.
  Result<std::string> claim_any(std::string_view family, const apimachinery::core_v1::Service& owner);
  // Just this one; the error says why it cannot be had.
  Result<void> claim(std::string_view address, const apimachinery::core_v1::Service& owner);
  void release(std::string_view address);

 private:
  bool is_taken(const apimachinery::IpAddress& address) const;
  void write(const apimachinery::IpAddress& address, const apimachinery::core_v1::Service& owner);

  const StrategyContext& context_;
  Companions& companions_;
  Snapshot taken_;
  std::vector<apimachinery::Cidr> blocks_;  // of ServiceCIDRs that are ready, the default one's first
  std::vector<std::string_view> families_;
  std::mt19937_64 random_;
};

// The reason of an exhausted pool's Status.
inline constexpr const char* reason_range_full = "RangeFull";

}  // namespace rusternetes::api_server
