#include "controller-manager/service_cidr_plan.h"

#include <algorithm>

namespace rusternetes::controller_manager {

using namespace apimachinery;
using networking_v1::IPAddress;
using networking_v1::ServiceCIDR;

namespace {

bool is_covered(const Cidr& block, const ServiceCIDR& cidr, const std::vector<Document>& cidrs) {
  return std::any_of(cidrs.begin(), cidrs.end(), [&](const Document& document) {
    const ServiceCIDR other(&document.root());
    if (other.metadata().name() == cidr.metadata().name()) return false;
    for (const auto text : other.spec().cidrs())
      if (const auto one = Cidr::parse(text); one && one->contains(block)) return true;
    return false;
  });
}

}  // namespace

bool gives_out(const ServiceCIDR& cidr, const IpAddress& address) {
  for (const auto text : cidr.spec().cidrs()) {
    const auto block = Cidr::parse(text);
    if (!block || !block->contains(address) || address == block->first()) continue;
    if (!block->is_v4() || address != block->last()) return true;
  }
  return false;
}

bool overlap(const ServiceCIDR& a, const ServiceCIDR& b) {
  for (const auto text : a.spec().cidrs())
    for (const auto other : b.spec().cidrs()) {
      const auto one = Cidr::parse(text), two = Cidr::parse(other);
      if (one && two && one->overlaps(*two)) return true;
    }
  return false;
}

bool is_service_address(const IPAddress& address) {
  return address.metadata().labels().get("ipaddress.kubernetes.io/managed-by") == "ipallocator.k8s.io";
}

bool may_go(const ServiceCIDR& cidr, const std::vector<Document>& cidrs,
            const std::vector<Document>& addresses) {
  bool is_all_covered = true;
  for (const auto text : cidr.spec().cidrs())
    if (const auto block = Cidr::parse(text)) is_all_covered &= is_covered(*block, cidr, cidrs);
  if (is_all_covered) return true;
  return std::none_of(addresses.begin(), addresses.end(), [&](const Document& document) {
    const IPAddress held(&document.root());
    const auto address = IpAddress::parse(held.metadata().name());
    if (!address || !is_service_address(held) || !gives_out(cidr, *address)) return false;
    return std::none_of(cidrs.begin(), cidrs.end(), [&](const Document& other) {
      const ServiceCIDR view(&other.root());
      return view.metadata().name() != cidr.metadata().name() && gives_out(view, *address);
    });
  });
}

}  // namespace rusternetes::controller_manager
