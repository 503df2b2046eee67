#pragma once
// How many packets a table's counters have counted, asked over netlink: libnftables would read all elements
// of all sets to answer.

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::kube_proxy::network_policy {

class PacketCounters {
 public:
  static Result<PacketCounters> open(const network::NetworkNamespace& where);
  PacketCounters(PacketCounters&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  PacketCounters& operator=(PacketCounters&&) = delete;
  ~PacketCounters();
  // Of a named counter in an inet table. NotFound without it.
  Result<std::uint64_t> packets(std::string_view table, std::string_view counter) const;

 private:
  explicit PacketCounters(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace rusternetes::kube_proxy::network_policy
