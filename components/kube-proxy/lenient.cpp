#include "kube-proxy/lenient.h"

#include <sys/socket.h>

#include "apimachinery/cidr.h"

namespace rusternetes::kube_proxy {

namespace {

IpAddress converted(const apimachinery::IpAddress& address) {
  if (address.is_v4()) return IpAddress::from_bytes(AF_INET, address.v4_bytes().data());
  return IpAddress::from_bytes(AF_INET6, address.v6_bytes().data());
}

}  // namespace

std::optional<IpAddress> lenient_address(std::string_view text) {
  const auto parsed = apimachinery::IpAddress::parse_sloppy(text);
  if (!parsed) return std::nullopt;
  return converted(parsed->unmap());
}

std::optional<IpPrefix> lenient_prefix(std::string_view text) {
  const auto parsed = apimachinery::Cidr::parse_sloppy(text);
  if (!parsed) return std::nullopt;
  const auto address = parsed->address();
  if (address.is_v4_mapped() && parsed->prefix_length() >= 96)
    return IpPrefix(converted(address.unmap()), parsed->prefix_length() - 96).masked();
  return IpPrefix(converted(address), parsed->prefix_length()).masked();
}

}  // namespace rusternetes::kube_proxy
