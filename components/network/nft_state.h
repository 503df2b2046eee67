#pragma once
// Cheap questions to a namespace's nftables, asked over netlink: libnftables would read all that there is
// to answer them.

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::network {

class NftState {
 public:
  // To be kept: when such a socket closes, the kernel first waits for the remains of transactions, which is
  // some milliseconds after each.
  static Result<NftState> open(const NetworkNamespace& where);
  NftState(NftState&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  NftState& operator=(NftState&&) = delete;
  ~NftState();

  // Goes up by one with each transaction, whoever's. (It wraps around.)
  Result<std::uint32_t> generation() const;
  // NFT_TABLE_F_* of an inet table: dormant, or another process's own. NotFound without the table.
  Result<std::uint32_t> table_flags(std::string_view table) const;
  // How many rules a chain of an inet table has, and other rules and elements that lead to it. NotFound
  // without the chain.
  Result<std::uint32_t> chain_uses(std::string_view table, std::string_view chain) const;
  // How many packets a named counter of an inet table has counted. NotFound without it.
  Result<std::uint64_t> counted_packets(std::string_view table, std::string_view counter) const;

 private:
  explicit NftState(int fd) : fd_(fd) {}
  int fd_;
};

// Whether the chain of an inet table is there and not empty: also after `flush table`, which leaves table and chains.
Result<bool> has_rules(const NetworkNamespace& where, std::string_view table, std::string_view chain);

}  // namespace rusternetes::network
