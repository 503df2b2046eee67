#include "rusternetes/service_ranges.h"

#include <algorithm>

#include "apimachinery/api/networking_v1.h"
#include "base/log.h"
#include "network/service_ranges.h"

namespace rusternetes {

using apimachinery::Cidr;
using apimachinery::networking_v1::ServiceCIDR;
using network::IpPrefix;

namespace {

constexpr client::Resource service_cidrs{"networking.k8s.io", "v1", "servicecidrs"};

std::vector<IpPrefix> prefixes(const std::vector<Cidr>& blocks) {
  std::vector<IpPrefix> out;
  for (const auto& block : blocks)
    if (const auto range = IpPrefix::parse(block.masked().to_string())) out.push_back(*range);
  return out;
}

}  // namespace

ServiceRanges::ServiceRanges(network::NodeLink link, network::NetworkNamespace host,
                             network::NetworkNamespace node)
    : link_(std::move(link)), host_(std::move(host)), node_(std::move(node)) {}

Result<std::shared_ptr<ServiceRanges>> ServiceRanges::make(const ProcessOptions& options,
                                                           const NodeSetup& setup) {
  RN_TRY(const auto side, host_side(options));
  return std::shared_ptr<ServiceRanges>(new ServiceRanges(side.link, setup.host(), setup.node()));
}

std::vector<IpPrefix> ServiceRanges::all() const {
  std::vector<IpPrefix> out = link_.service_ranges;
  std::lock_guard lock(mutex_);
  out.insert(out.end(), added_.begin(), added_.end());
  return out;
}

bool ServiceRanges::is_of_flags(const IpPrefix& range) const {
  return std::ranges::any_of(link_.service_ranges,
                             [&](const IpPrefix& one) { return one.masked() == range; });
}

Result<void> ServiceRanges::stand_one(const IpPrefix& range) {
  if (is_of_flags(range)) return {};
  RN_CHECK(network::check_service_range(host_, link_, range));
  {
    std::lock_guard lock(mutex_);
    added_.insert(range);
  }
  return network::add_service_ranges(host_, node_, link_, {range});
}

Task<Result<void>> ServiceRanges::stand(std::vector<Cidr> blocks) {
  auto work = [this, ranges = prefixes(blocks)]() -> Result<void> {
    for (const auto& range : ranges) RN_CHECK(stand_one(range));
    return {};
  };
  co_return co_await worker_.run(std::move(work));
}

Task<Result<void>> ServiceRanges::retain(std::vector<Cidr> blocks) {
  auto work = [this, ranges = prefixes(blocks)]() -> Result<void> {
    {
      std::lock_guard lock(mutex_);
      std::erase_if(added_,
                    [&](const IpPrefix& one) { return std::ranges::find(ranges, one) == ranges.end(); });
    }
    return network::retain_service_ranges(host_, node_, link_, ranges);
  };
  co_return co_await worker_.run(std::move(work));
}

Task<> ServiceRanges::stand_known(client::ApiClient& client) {
  auto listed = co_await client.list(service_cidrs, "", {});
  if (!listed) {
    log::error("rusternetes", "ServiceCIDRs cannot be read: {}", listed.error().message);
    co_return;
  }
  for (const auto& document : listed->items) {
    const ServiceCIDR cidr(&document.root());
    std::vector<Cidr> blocks;
    for (const auto text : cidr.spec().cidrs())
      if (const auto block = Cidr::parse(text)) blocks.push_back(*block);
    const auto stands = co_await stand(std::move(blocks));
    if (!stands)
      log::error("rusternetes", "ServiceCIDR {}: {}", cidr.metadata().name(), stands.error().message);
  }
}

}  // namespace rusternetes
