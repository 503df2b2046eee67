#pragma once
// A Service's addresses and node ports. An address is an IPAddress object of that name (KEP 1880), a port a bit of the
// RangeAllocation at /registry/ranges/servicenodeports; both are written in the Service's own transaction.

#include "api-server/companions.h"
#include "api-server/strategy.h"

namespace rusternetes::api_server {

inline constexpr std::string_view node_port_range_key = "/registry/ranges/servicenodeports";
inline constexpr int node_port_first = 30000, node_port_last = 32767;  // --service-node-port-range

// `object` becomes complete; null when it is being removed. `old` is null at creation. Errors: Invalid with the field that
// asks for what cannot be had; InternalError when a pool is exhausted.
Result<void> allocate_for_service(const StrategyContext& context, Companions& companions, apimachinery::Value* object,
                                  const apimachinery::Value* old);

}  // namespace rusternetes::api_server
