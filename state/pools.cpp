#include "state/pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace rusternetes::state {
namespace {

namespace ip = boost::asio::ip;
__extension__ typedef unsigned __int128 Bits;

Bits bits_of(const ip::address& address) {
  if (address.is_v4()) return address.to_v4().to_uint();
  Bits bits = 0;
  for (const unsigned char byte : address.to_v6().to_bytes()) bits = (bits << 8) | byte;
  return bits;
}

ip::address address_from(Bits bits, bool is_v4) {
  if (is_v4) return ip::address_v4(static_cast<std::uint32_t>(bits));
  ip::address_v6::bytes_type bytes{};
  for (std::size_t i = bytes.size(); i-- > 0; bits >>= 8) bytes[i] = static_cast<unsigned char>(bits);
  return ip::address_v6(bytes);
}

int width(const ip::address& address) { return address.is_v4() ? 32 : 128; }

// All bits below the prefix.
Bits host_mask(int prefix, int width) {
  const int bits = width - prefix;
  return bits >= 128 ? ~Bits{0} : (Bits{1} << bits) - 1;
}

Range range(const char* first, int prefix) { return {ip::make_address(first), prefix}; }

}  // namespace

Result<Range> Range::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Status(400, "BadRequest", fmt::format("\"{}\" is not a block of addresses: {}", text, why));
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return bad("it has no prefix length, as in 10.96.0.0/16");
  boost::system::error_code error;
  Range out{ip::make_address(std::string(text.substr(0, slash)), error), 0};
  if (error || (out.first.is_v6() && out.first.to_v6().scope_id() != 0))
    return bad("the address does not parse");
  const auto digits = text.substr(slash + 1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), out.prefix);
  if (code != std::errc() || end != digits.data() + digits.size() || digits.empty() || out.prefix < 0 ||
      out.prefix > width(out.first))
    return bad("the prefix length does not parse");
  if ((bits_of(out.first) & host_mask(out.prefix, width(out.first))) != 0)
    return bad("the address has bits below the prefix");
  return out;
}

std::string Range::to_string() const { return fmt::format("{}/{}", first.to_string(), prefix); }

bool Range::overlaps(const Range& other) const {
  if (first.is_v4() != other.first.is_v4()) return false;
  const Bits mask = host_mask(std::min(prefix, other.prefix), width(first));
  return (bits_of(first) | mask) == (bits_of(other.first) | mask);
}

ip::address Range::at(std::uint64_t offset) const {
  return address_from(bits_of(first) + offset, first.is_v4());
}

Result<std::vector<Range>> parse_ranges(std::string_view text) {
  std::vector<Range> out;
  for (;;) {
    const auto comma = text.find(',');
    RN_TRY(Range one, Range::parse(text.substr(0, comma)));
    for (const Range& other : out)
      if (other.first.is_v4() == one.first.is_v4())
        return Status(400, "BadRequest",
                      fmt::format("{} and {} are of the same family", other.to_string(), one.to_string()));
    out.push_back(one);
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

std::string to_string(const std::vector<Range>& ranges) {
  std::string out;
  for (const Range& one : ranges) out += (out.empty() ? "" : ",") + one.to_string();
  return out;
}

Pool pod_pool(Family family) {
  if (family == Family::ipv6) return {range("fd72:7573:7400::", 40), 56, 0};
  return {range("10.128.0.0", 9), 16, 244 - 128};
}

Pool service_pool(Family family) {
  if (family == Family::ipv6) return {range("fd72:7573:7500::", 40), 112, 0};
  return {range("10.96.0.0", 11), 16, 0};
}

Pool link_pool(Family family) {
  if (family == Family::ipv6) return {range("fd72:7573:7600::", 40), 124, 0};
  return {range("10.213.0.0", 16), 28, 0};
}

Pool network_pool() { return {range("10.214.0.0", 16), 24, 0}; }

Result<Range> pick_range(const Pool& pool, const std::vector<Range>& taken,
                         const std::vector<Range>& host_routes) {
  const int all = width(pool.base.first);
  const int index_bits = std::min(pool.prefix - pool.base.prefix, 16);
  const std::uint64_t count = std::uint64_t{1} << index_bits;
  for (std::uint64_t tried = 0; tried < count; ++tried) {
    const Bits index = (pool.preferred + tried) % count;
    const Range candidate{address_from(bits_of(pool.base.first) + (index << (all - pool.prefix)), all == 32),
                          pool.prefix};
    const auto collides = [&](const Range& other) { return other.prefix > 0 && candidate.overlaps(other); };
    if (std::none_of(taken.begin(), taken.end(), collides) &&
        std::none_of(host_routes.begin(), host_routes.end(), collides))
      return candidate;
  }
  return Status(409, "PoolExhausted",
                fmt::format("no /{} block is free in {}", pool.prefix, pool.base.to_string()));
}

Result<std::uint16_t> pick_port(const std::vector<std::uint16_t>& taken,
                                const std::function<bool(std::uint16_t)>& is_free) {
  constexpr std::uint16_t tries = 1000;
  for (std::uint16_t port = first_api_port; port < first_api_port + tries; ++port)
    if (std::find(taken.begin(), taken.end(), port) == taken.end() && is_free(port)) return port;
  return Status(409, "PoolExhausted",
                fmt::format("no port between {} and {} is free", first_api_port, first_api_port + tries - 1));
}

}  // namespace rusternetes::state
