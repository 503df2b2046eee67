#pragma once
// Flows that a namespace's connection tracking knows (libnetfilter_conntrack).

#include <cstdint>
#include <functional>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

struct Flow {
  std::uint8_t protocol = 0;  // IPPROTO_TCP, ...
  // As the first packet had it.
  IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  // Who answers: where the packets go after translation.
  IpAddress reply_source;
  std::uint16_t reply_source_port = 0;
  bool is_destination_translated() const {
    return reply_source != destination || reply_source_port != destination_port;
  }
};

// Calls `each` with every flow of a family (AF_INET, AF_INET6) and protocol, and ends those for which it says
// so: the next packet of such a flow is the first of a new one. Returns how many were ended; one that ended
// by itself meanwhile is not counted. `each` must not throw.
Result<int> end_flows(const NetworkNamespace& where, int family, std::uint8_t protocol,
                      const std::function<bool(const Flow&)>& each);

}  // namespace rusternetes::network
