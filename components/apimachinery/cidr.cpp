#include "apimachinery/cidr.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace rusternetes::apimachinery {
namespace {

enum class Zeros { strict, sloppy };

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Four decimal octets; sloppy allows any number of leading zeros.
std::optional<std::uint32_t> parse_octets(std::string_view text, Zeros zeros) {
  std::uint32_t bits = 0;
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0) {
      if (text.empty() || text[0] != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    std::uint32_t value = 0;
    std::size_t length = 0;
    for (; length < text.size() && is_digit(text[length]); ++length) {
      value = value * 10 + static_cast<std::uint32_t>(text[length] - '0');
      if (value > 255) return std::nullopt;
    }
    if (length == 0 || (zeros == Zeros::strict && length > 1 && text[0] == '0')) return std::nullopt;
    text.remove_prefix(length);
    bits = bits << 8 | value;
  }
  return text.empty() ? std::optional(bits) : std::nullopt;
}

// The groups before and after a "::" are collected apart and joined at the end.
struct Groups {
  std::array<std::uint16_t, 8> values{};
  int count = 0;
  int gap = -1;  // how many groups stand before the "::"
  bool add(std::uint32_t value) {
    if (count == 8) return false;
    values[count++] = static_cast<std::uint16_t>(value);
    return true;
  }
  std::optional<AddressBits> join() const {
    if (gap < 0 ? count != 8 : count == 8) return std::nullopt;
    AddressBits bits = 0;
    for (int i = 0; i < 8; ++i) {
      const int missing = 8 - count;
      int source = i;
      if (gap >= 0 && i >= gap) source = i < gap + missing ? -1 : i - missing;
      bits = bits << 16 | (source < 0 ? 0 : values[source]);
    }
    return bits;
  }
};

std::optional<AddressBits> parse_groups(std::string_view text, Zeros zeros) {
  Groups groups;
  if (text.starts_with("::")) {
    groups.gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    std::uint32_t value = 0;
    std::size_t length = 0;
    for (int digit; length < text.size() && (digit = hex_value(text[length])) >= 0; ++length) {
      value = value << 4 | static_cast<std::uint32_t>(digit);
      if (value > 0xFFFF || (zeros == Zeros::strict && length > 3)) return std::nullopt;
    }
    if (length == 0) return std::nullopt;
    if (length < text.size() && text[length] == '.') {
      if (groups.gap < 0 && groups.count != 6) return std::nullopt;
      const auto octets = parse_octets(text, zeros);
      if (!octets || groups.count > 6) return std::nullopt;
      groups.add(*octets >> 16);
      groups.add(*octets & 0xFFFF);
      return groups.join();
    }
    if (!groups.add(value)) return std::nullopt;
    text.remove_prefix(length);
    if (text.empty()) break;
    if (text[0] != ':' || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
    if (text[0] == ':') {
      if (groups.gap >= 0) return std::nullopt;
      groups.gap = groups.count;
      text.remove_prefix(1);
    }
  }
  return groups.join();
}

std::optional<IpAddress> parse_address(std::string_view text, Zeros zeros) {
  const auto at = text.find_first_of(".:%");
  if (at == std::string_view::npos) return std::nullopt;
  if (text[at] == '.') {
    const auto bits = parse_octets(text, zeros);
    return bits ? std::optional(IpAddress::v4(*bits)) : std::nullopt;
  }
  const auto bits = parse_groups(text, zeros);
  return bits ? std::optional(IpAddress::v6(*bits)) : std::nullopt;
}

std::optional<int> parse_length(std::string_view text, int limit, Zeros zeros) {
  if (text.empty() || (zeros == Zeros::strict && text.size() > 1 && text[0] == '0')) return std::nullopt;
  int length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    length = length * 10 + (c - '0');
    if (length > limit) return std::nullopt;
  }
  return length;
}

Status bad_text(std::string_view what, std::string_view text) {
  return Status(400, "BadRequest", fmt::format("invalid {}: {}", what, text));
}

void append_v4(std::string& out, std::uint32_t bits) {
  fmt::format_to(std::back_inserter(out), "{}.{}.{}.{}", bits >> 24, bits >> 16 & 0xFF, bits >> 8 & 0xFF,
                 bits & 0xFF);
}

// RFC 5952: lower case, no leading zeros, the first longest run of at least two zero groups as "::".
std::string v6_text(AddressBits bits) {
  std::array<unsigned, 8> groups;
  for (int i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bits >> (112 - 16 * i)) & 0xFFFF;
  int best_start = -1, best_length = 1;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > best_length) {
      best_start = i;
      best_length = end - i;
    }
    i = end + 1;
  }
  std::string out;
  for (int i = 0; i < 8; ++i) {
    if (i == best_start) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    fmt::format_to(std::back_inserter(out), "{:x}", groups[i]);
  }
  return out;
}

}  // namespace

std::optional<IpAddress> IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  AddressBits bits = 0;
  for (const std::uint8_t byte : bytes) bits = bits << 8 | byte;
  return IpAddress(bits, bytes.size() == 4);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto address = parse_address(text, Zeros::strict)) return *address;
  return bad_text("IP address", text);
}

std::optional<IpAddress> IpAddress::parse_sloppy(std::string_view text) {
  return parse_address(text, Zeros::sloppy);
}

std::array<std::uint8_t, 4> IpAddress::v4_bytes() const {
  std::array<std::uint8_t, 4> out;
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(bits_ >> (24 - 8 * i));
  return out;
}

std::array<std::uint8_t, 16> IpAddress::v6_bytes() const {
  const AddressBits bits = is_v4_ ? bits_ | AddressBits{0xFFFF} << 32 : bits_;
  std::array<std::uint8_t, 16> out;
  for (int i = 0; i < 16; ++i) out[i] = static_cast<std::uint8_t>(bits >> (120 - 8 * i));
  return out;
}

bool IpAddress::is_loopback() const {
  const IpAddress ip = unmap();
  return ip.is_v4_ ? ip.bits_ >> 24 == 127 : bits_ == 1;
}

bool IpAddress::is_multicast() const {
  const IpAddress ip = unmap();
  return ip.is_v4_ ? ip.bits_ >> 28 == 0xE : bits_ >> 120 == 0xFF;
}

bool IpAddress::is_link_local_unicast() const {
  const IpAddress ip = unmap();
  return ip.is_v4_ ? ip.bits_ >> 16 == 0xA9FE : bits_ >> 118 == 0xFE80 >> 6;
}

bool IpAddress::is_link_local_multicast() const {
  const IpAddress ip = unmap();
  return ip.is_v4_ ? ip.bits_ >> 8 == 0xE00000 : (bits_ >> 112 & 0xFF0F) == 0xFF02;
}

IpAddress IpAddress::plus(AddressBits count) const {
  return is_v4_ ? v4(static_cast<std::uint32_t>(bits_ + count)) : v6(bits_ + count);
}

std::string IpAddress::to_string() const {
  if (!is_v4_ && !is_v4_mapped()) return v6_text(bits_);
  std::string out = is_v4_ ? "" : "::ffff:";
  append_v4(out, static_cast<std::uint32_t>(bits_));
  return out;
}

Cidr::Cidr(IpAddress address, int prefix_length) : address_(address), prefix_length_(prefix_length) {
  RN_ASSERT(prefix_length >= 0 && prefix_length <= address.bit_length(), "prefix length out of range");
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos) return bad_text("CIDR address", text);
  const auto address = parse_address(text.substr(0, slash), Zeros::strict);
  if (!address) return bad_text("CIDR address", text);
  const auto length = parse_length(text.substr(slash + 1), address->bit_length(), Zeros::strict);
  if (!length) return bad_text("CIDR address", text);
  return Cidr(*address, *length);
}

std::optional<Cidr> Cidr::parse_sloppy(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash), Zeros::sloppy);
  if (!address) return std::nullopt;
  const auto length = parse_length(text.substr(slash + 1), address->bit_length(), Zeros::sloppy);
  if (!length) return std::nullopt;
  return Cidr(*address, *length);
}

AddressBits Cidr::host_mask() const {
  const int host_bits = address_.bit_length() - prefix_length_;
  return host_bits == 128 ? ~AddressBits{0} : (AddressBits{1} << host_bits) - 1;
}

IpAddress Cidr::first() const {
  const AddressBits bits = address_.bits() & ~host_mask();
  return is_v4() ? IpAddress::v4(static_cast<std::uint32_t>(bits)) : IpAddress::v6(bits);
}

IpAddress Cidr::last() const { return first().plus(host_mask()); }

bool Cidr::contains(const IpAddress& ip) const {
  return ip.is_v4() == is_v4() && ((ip.bits() ^ address_.bits()) & ~host_mask()) == 0;
}

bool Cidr::contains(const Cidr& other) const {
  return other.prefix_length_ >= prefix_length_ && contains(other.address_);
}

std::string Cidr::to_string() const { return fmt::format("{}/{}", address_.to_string(), prefix_length_); }

std::string Cidr::to_net_string() const {
  const IpAddress start = first();
  if (start.is_v4_mapped()) return fmt::format("{}/{}", start.unmap().to_string(), prefix_length_ - 96);
  return fmt::format("{}/{}", start.to_string(), prefix_length_);
}

std::uint64_t Cidr::size() const {
  const int host_bits = address_.bit_length() - prefix_length_;
  return host_bits >= 64 ? std::numeric_limits<std::uint64_t>::max() : std::uint64_t{1} << host_bits;
}

IpAddress Cidr::at(std::uint64_t index) const {
  RN_ASSERT(index < size(), "address index outside of the block");
  return first().plus(index);
}

std::optional<std::uint64_t> Cidr::index_of(const IpAddress& ip) const {
  if (!contains(ip)) return std::nullopt;
  const AddressBits index = ip.bits() - first().bits();
  if (index >> 64 != 0) return std::nullopt;
  return static_cast<std::uint64_t>(index);
}

std::optional<Cidr> Cidr::subnet(int prefix_length, std::uint64_t index) const {
  const int extra = prefix_length - prefix_length_;
  if (extra < 0 || prefix_length > address_.bit_length() || (extra < 64 && index >> extra != 0))
    return std::nullopt;
  const int shift = address_.bit_length() - prefix_length;
  // A shift of 128 happens only for ::/0 in itself, whose only index is 0.
  const AddressBits offset = shift == 128 ? 0 : AddressBits{index} << shift;
  return Cidr(first().plus(offset), prefix_length);
}

}  // namespace rusternetes::apimachinery
