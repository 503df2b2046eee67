#pragma once
// IPv4 and IPv6 addresses and prefixes as values, so that nothing above has to care for the family.

#include <sys/socket.h>  // AF_INET, AF_INET6

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::network {

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  // Only the plain textual forms (RFC 4291 section 2.2 for IPv6, four decimal parts for IPv4); no zone, no
  // port.
  static Result<IpAddress> parse(std::string_view text);
  // `bytes` are in network order: 4 of them for AF_INET, 16 for AF_INET6.
  static IpAddress from_bytes(int family, const void* bytes);

  int family() const;  // AF_INET or AF_INET6
  bool is_v4() const { return !is_v6_; }
  int bits() const { return is_v6_ ? 128 : 32; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v6_ ? 16u : 4u}; }
  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  bool is_v6_ = false;  // first: IPv4 sorts before IPv6
  std::array<std::uint8_t, 16> bytes_{};
};

// An address with a prefix length. Host bits are kept (as on an interface) until masked().
class IpPrefix {
 public:
  IpPrefix() = default;  // 0.0.0.0/0
  IpPrefix(const IpAddress& address, int length);
  static Result<IpPrefix> parse(std::string_view text);  // "10.0.0.0/8", "fd00::/64"
  // /32 or /128.
  static IpPrefix host(const IpAddress& address) { return {address, address.bits()}; }
  static IpPrefix everything(int family);  // the destination of a default route

  const IpAddress& address() const { return address_; }
  int length() const { return length_; }
  bool is_host() const { return length_ == address_.bits(); }
  bool is_everything() const { return length_ == 0; }
  IpPrefix masked() const;
  bool contains(const IpAddress& address) const;
  bool overlaps(const IpPrefix& other) const;
  std::string to_string() const;  // always with the length
  auto operator<=>(const IpPrefix&) const = default;

 private:
  IpAddress address_;
  int length_ = 0;
};

}  // namespace rusternetes::network
