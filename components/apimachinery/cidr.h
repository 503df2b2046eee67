#pragma once
// IP addresses and CIDR blocks, both families: parsing, canonical text (RFC 5952, as Go's net/netip prints),
// containment and the arithmetic that address allocators need. IPv6 zones are refused: no Kubernetes field
// takes one.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::apimachinery {

__extension__ typedef unsigned __int128 AddressBits;

class IpAddress {
 public:
  constexpr IpAddress() = default;  // 0.0.0.0
  static constexpr IpAddress v4(std::uint32_t host_order) { return IpAddress(host_order, true); }
  static constexpr IpAddress v6(AddressBits host_order) { return IpAddress(host_order, false); }
  // 4 or 16 bytes in network order; nullopt for another length.
  static std::optional<IpAddress> from_bytes(std::span<const std::uint8_t> bytes);

  // What netip.ParseAddr takes, without zones. BadRequest otherwise.
  static Result<IpAddress> parse(std::string_view text);
  // Also takes leading zeros (010.0.0.1 is 10.0.0.1), which old objects may hold.
  static std::optional<IpAddress> parse_sloppy(std::string_view text);

  constexpr bool is_v4() const { return is_v4_; }
  constexpr bool is_v6() const { return !is_v4_; }
  // ::ffff:1.2.3.4, which is an IPv6 address here.
  constexpr bool is_v4_mapped() const { return !is_v4_ && (bits_ >> 32) == 0xFFFF; }
  // The IPv4 address inside a mapped one; otherwise itself.
  constexpr IpAddress unmap() const { return is_v4_mapped() ? v4(static_cast<std::uint32_t>(bits_)) : *this; }
  constexpr int bit_length() const { return is_v4_ ? 32 : 128; }
  // In host order; an IPv4 address fills the lowest 32 bits.
  constexpr AddressBits bits() const { return bits_; }
  std::array<std::uint8_t, 4> v4_bytes() const;   // of an IPv4 address
  std::array<std::uint8_t, 16> v6_bytes() const;  // an IPv4 address comes mapped

  bool is_unspecified() const { return bits_ == 0; }
  bool is_loopback() const;
  bool is_multicast() const;
  bool is_link_local_unicast() const;
  bool is_link_local_multicast() const;

  // Wraps around at the family's end.
  IpAddress plus(AddressBits count) const;
  IpAddress next() const { return plus(1); }

  std::string to_string() const;

  // IPv4 sorts before IPv6.
  friend constexpr std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
    if (a.is_v4_ != b.is_v4_) return a.is_v4_ ? std::strong_ordering::less : std::strong_ordering::greater;
    return a.bits_ < b.bits_   ? std::strong_ordering::less
           : a.bits_ > b.bits_ ? std::strong_ordering::greater
                               : std::strong_ordering::equal;
  }
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) = default;

 private:
  constexpr IpAddress(AddressBits bits, bool is_v4) : bits_(bits), is_v4_(is_v4) {}
  AddressBits bits_ = 0;
  bool is_v4_ = true;
};

class Cidr {
 public:
  constexpr Cidr() = default;  // 0.0.0.0/0
  // `prefix_length` is between 0 and address.bit_length(); a programmer error otherwise.
  Cidr(IpAddress address, int prefix_length);

  // What netip.ParsePrefix takes; bits beyond the prefix are kept. BadRequest otherwise.
  static Result<Cidr> parse(std::string_view text);
  // Also takes leading zeros in the address and in the length.
  static std::optional<Cidr> parse_sloppy(std::string_view text);

  const IpAddress& address() const { return address_; }
  int prefix_length() const { return prefix_length_; }
  bool is_v4() const { return address_.is_v4(); }
  bool is_v6() const { return address_.is_v6(); }
  // The block that an address is the start of: no bits beyond the prefix.
  Cidr masked() const { return Cidr(first(), prefix_length_); }
  // As Go's net.IPNet prints it: masked, a mapped block as the IPv4 block inside.
  std::string to_net_string() const;
  std::string to_string() const;

  IpAddress first() const;
  IpAddress last() const;
  bool contains(const IpAddress& ip) const;
  // True also for itself. A block of the other family is never contained.
  bool contains(const Cidr& other) const;
  bool overlaps(const Cidr& other) const { return contains(other.first()) || other.contains(first()); }

  // How many addresses there are, at most 2^64-1.
  std::uint64_t size() const;
  // first() + index; `index` is below size(), a programmer error otherwise.
  IpAddress at(std::uint64_t index) const;
  // The inverse of at(); nullopt outside of the block or beyond 2^64-1.
  std::optional<std::uint64_t> index_of(const IpAddress& ip) const;
  // The index-th block of `prefix_length` inside this one; nullopt if there is none.
  std::optional<Cidr> subnet(int prefix_length, std::uint64_t index) const;

  friend bool operator==(const Cidr& a, const Cidr& b) = default;

 private:
  AddressBits host_mask() const;
  IpAddress address_;
  int prefix_length_ = 0;
};

}  // namespace rusternetes::apimachinery
