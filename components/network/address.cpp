#include "network/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rusternetes::network {

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  std::uint8_t bytes[16];
  // inet_pton would stop at an embedded NUL and accept what stands before it.
  if (text.find('\0') == std::string_view::npos) {
    if (inet_pton(AF_INET, copy.c_str(), bytes) == 1) return from_bytes(AF_INET, bytes);
    if (inet_pton(AF_INET6, copy.c_str(), bytes) == 1) return from_bytes(AF_INET6, bytes);
  }
  return Status{400, "BadRequest", fmt::format("\"{}\" is not an IP address", text)};
}

IpAddress IpAddress::from_bytes(int family, const void* bytes) {
  IpAddress address;
  address.is_v6_ = family == AF_INET6;
  std::memcpy(address.bytes_.data(), bytes, address.is_v6_ ? 16 : 4);
  return address;
}

int IpAddress::family() const { return is_v6_ ? AF_INET6 : AF_INET; }

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family(), bytes_.data(), text, sizeof text);
}

IpPrefix::IpPrefix(const IpAddress& address, int length) : address_(address), length_(length) {
  RN_ASSERT(length >= 0 && length <= address.bits(), "a prefix length fits its family");
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    auto address = IpAddress::parse(text.substr(0, slash));
    const std::string_view digits = text.substr(slash + 1);
    int length = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool is_number = error == std::errc{} && end == digits.data() + digits.size();
    if (address && is_number && length >= 0 && length <= address->bits()) return IpPrefix{*address, length};
  }
  return Status{400, "BadRequest", fmt::format("\"{}\" is not an address range like 10.0.0.0/16", text)};
}

IpPrefix IpPrefix::everything(int family) {
  const std::uint8_t zeros[16] = {};
  return {IpAddress::from_bytes(family, zeros), 0};
}

IpPrefix IpPrefix::masked() const {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address_.bytes(), bytes.begin());
  for (int bit = length_; bit < address_.bits();) {
    const int in_byte = bit % 8;
    bytes[bit / 8] &= static_cast<std::uint8_t>(0xff00 >> in_byte);
    bit += 8 - in_byte;
  }
  return {IpAddress::from_bytes(address_.family(), bytes.data()), length_};
}

bool IpPrefix::contains(const IpAddress& address) const {
  return address.is_v4() == address_.is_v4() && IpPrefix{address, length_}.masked() == masked();
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
  if (other.address_.is_v4() != address_.is_v4()) return false;
  return length_ <= other.length_ ? contains(other.address_) : other.contains(address_);
}

std::string IpPrefix::to_string() const { return fmt::format("{}/{}", address_.to_string(), length_); }

}  // namespace rusternetes::network
