#pragma once
// Node ports out of one range, whose bits are in the store (pkg/registry/core/service/portallocator).

#include <bitset>
#include <random>

#include "api-server/companions.h"
#include "api-server/strategy.h"
#include "api-server/strategy/service_allocation.h"

namespace rusternetes::api_server {

inline constexpr std::size_t node_port_count = node_port_last - node_port_first + 1;
using NodePortSet = std::bitset<node_port_count>;  // bit i is port first + i

// RangeAllocation.data: a big-endian number without leading zeros.
NodePortSet read_node_ports(std::string_view data);
// The bytes of the RangeAllocation.
std::shared_ptr<const std::string> range_of_node_ports(const apimachinery::Registry& registry, const NodePortSet& ports);

class NodePorts {
 public:
  // Reads the range on first use.
  NodePorts(const StrategyContext& context, Companions& companions) : context_(context), companions_(companions) {}

  // "provided port is already allocated", or that it is not in the range.
  Result<void> claim(std::int64_t port);
  Result<std::int64_t> claim_any();
  // Takes effect in save(): a port that goes is not given out again by the same request.
  Result<void> release(std::int64_t port);
  // Writes the range back if anything has changed.
  void save();

 private:
  Result<void> load();

  const StrategyContext& context_;
  Companions& companions_;
  bool is_loaded_ = false, is_changed_ = false;
  storage::Revision revision_ = 0;
  NodePortSet taken_, released_;
};

}  // namespace rusternetes::api_server
