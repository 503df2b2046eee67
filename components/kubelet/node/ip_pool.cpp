#include "kubelet/node/ip_pool.h"

#include <fmt/format.h>

namespace rusternetes::kubelet {

using apimachinery::Cidr;

Result<void> IpPool::set_cidrs(const std::vector<std::string>& cidrs) {
  std::vector<Range> fresh;
  for (const auto& text : cidrs) {
    RN_TRY(const auto cidr, Cidr::parse(text));
    Range range{cidr, 0};
    for (const auto& old : ranges_)
      if (old.cidr == cidr) range.next = old.next;
    fresh.push_back(range);
  }
  ranges_ = std::move(fresh);
  return {};
}

Result<std::string> IpPool::take(Range& range) {
  const auto size = range.cidr.size();
  // The network's and the broadcast address, and the first one, which people expect to be a gateway.
  const std::uint64_t first = size > 3 ? 2 : 0;
  const std::uint64_t last = size > 3 && range.cidr.is_v4() ? size - 2 : size - 1;
  const std::uint64_t count = last - first + 1;
  for (std::uint64_t i = 0; i < count && i <= used_.size(); ++i) {
    const auto index = first + (range.next + i) % count;
    std::string address = range.cidr.at(index).to_string();
    if (used_.contains(address)) continue;
    range.next = (range.next + i + 1) % count;
    used_.insert(address);
    return address;
  }
  return internal_error(fmt::format("no IP addresses available in range {}", range.cidr.to_string()));
}

Result<std::vector<std::string>> IpPool::allocate(const std::string& pod_uid) {
  if (auto it = by_pod_.find(pod_uid); it != by_pod_.end()) return it->second;
  if (ranges_.empty()) return internal_error("the node has no Pod CIDR yet");
  std::vector<std::string> out;
  for (auto& range : ranges_) {
    auto address = take(range);
    if (!address) {
      for (const auto& taken : out) used_.erase(taken);
      return std::move(address).error();
    }
    out.push_back(*std::move(address));
  }
  by_pod_[pod_uid] = out;
  return out;
}

Result<void> IpPool::adopt(const std::string& pod_uid, const std::vector<std::string>& addresses) {
  if (auto it = by_pod_.find(pod_uid); it != by_pod_.end() && it->second == addresses) return {};
  for (const auto& address : addresses)
    if (used_.contains(address)) return internal_error(fmt::format("address {} belongs to another Pod", address));
  release(pod_uid);
  for (const auto& address : addresses) used_.insert(address);
  by_pod_[pod_uid] = addresses;
  return {};
}

void IpPool::release(const std::string& pod_uid) {
  auto it = by_pod_.find(pod_uid);
  if (it == by_pod_.end()) return;
  for (const auto& address : it->second) used_.erase(address);
  by_pod_.erase(it);
}

std::vector<std::string> IpPool::addresses_of(const std::string& pod_uid) const {
  auto it = by_pod_.find(pod_uid);
  return it == by_pod_.end() ? std::vector<std::string>{} : it->second;
}

}  // namespace rusternetes::kubelet
