#pragma once
// Which ServiceCIDRs hold which addresses, and when one may go (KEP-1880). Pure.

#include <string_view>
#include <vector>

#include "apimachinery/api/networking_v1.h"
#include "apimachinery/cidr.h"
#include "apimachinery/document.h"

namespace rusternetes::controller_manager {

// One of its blocks could give the address out: not a block's first and, of IPv4, not its last one.
bool gives_out(const apimachinery::networking_v1::ServiceCIDR& cidr, const apimachinery::IpAddress& address);
bool overlap(const apimachinery::networking_v1::ServiceCIDR& a,
             const apimachinery::networking_v1::ServiceCIDR& b);
// An address of a Service, by whoever gives them out.
bool is_service_address(const apimachinery::networking_v1::IPAddress& address);
// Every one of its blocks is inside of another ServiceCIDR's, or every Service's address is in others too.
bool may_go(const apimachinery::networking_v1::ServiceCIDR& cidr,
            const std::vector<apimachinery::Document>& cidrs,
            const std::vector<apimachinery::Document>& addresses);

}  // namespace rusternetes::controller_manager
