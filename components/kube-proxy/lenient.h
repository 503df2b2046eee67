#pragma once
// Addresses and ranges of the API's objects. Older fields may hold other than the plain forms (leading zeros,
// IPv4-mapped IPv6); what the API has accepted must mean the same here, or a rule that limits would be lost.

#include <optional>
#include <string_view>

#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy {

// A mapped address is the IPv4 address inside.
std::optional<IpAddress> lenient_address(std::string_view text);
// Masked.
std::optional<IpPrefix> lenient_prefix(std::string_view text);

}  // namespace rusternetes::kube_proxy
