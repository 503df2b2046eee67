#pragma once
// Which ranges, addresses and ports a new cluster gets: the first of each pool that no other cluster holds
// and no route of the host overlaps. Pure functions; the caller brings what is taken. Both address families
// are handed out.

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::state {

// A block of addresses; the bits below the prefix are zero.
struct Range {
  boost::asio::ip::address first;
  int prefix = 0;

  // "10.96.0.0/16"; BadRequest when it is no CIDR or has bits below the prefix.
  static Result<Range> parse(std::string_view text);
  std::string to_string() const;
  // Blocks of different families never overlap.
  bool overlaps(const Range& other) const;
  // first + offset.
  boost::asio::ip::address at(std::uint64_t offset) const;
  friend bool operator==(const Range&, const Range&) = default;
};

// "A,B": the families of a dual-stack cluster, at most one block each. BadRequest otherwise.
Result<std::vector<Range>> parse_ranges(std::string_view text);
std::string to_string(const std::vector<Range>& ranges);

// Blocks of `prefix` bits in order, all within `base`, starting with the `preferred`-th.
struct Pool {
  Range base;
  int prefix = 0;
  std::uint64_t preferred = 0;
};

enum class Family { ipv4, ipv6 };
// 10.244.0.0/16 is the first choice for Pods and 10.96.0.0/16 for Services, as kubeadm's users expect; links
// are /28 of 10.213.0.0/16 (one host address and up to thirteen nodes). The IPv6 pools are unique local
// addresses.
Pool pod_pool(Family family);
Pool service_pool(Family family);
Pool link_pool(Family family);
// Networks of an engine, a /24 each, for clusters whose components are containers.
Pool network_pool();

// Default routes (prefix 0) do not count: everything overlaps them. Exhausted: Status with reason
// PoolExhausted.
Result<Range> pick_range(const Pool& pool, const std::vector<Range>& taken,
                         const std::vector<Range>& host_routes);

inline constexpr std::uint16_t first_api_port = 6443;
// The first port from 6443 on that is neither taken nor refused by `is_free` (which asks the host).
Result<std::uint16_t> pick_port(const std::vector<std::uint16_t>& taken,
                                const std::function<bool(std::uint16_t)>& is_free);

}  // namespace rusternetes::state
