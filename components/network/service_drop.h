#pragma once
// The rule that keeps invariant 14: a packet to a service address that nothing has translated goes nowhere.
// It is loaded and read back before the first service address is used, and its counter is what tests assert.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::network {

// Drops, in forward and output, what still goes to a service range once kube-proxy's chains (which come
// before) have had it, unless it leaves through one of `allowed_interfaces`: the host sends it to the node by
// the node's link, a node allows none. Order within the vectors does not matter.
struct ServiceDrop {
  std::string cluster;
  std::vector<IpPrefix> service_ranges;
  std::vector<std::string> allowed_interfaces;
};

// Leaves a table that says exactly this alone, so that its counter goes on; replaces any other in one
// transaction, so that there is no moment without. What was loaded is read back; anything but success means:
// do not use the range.
Result<> load_service_drop(const NetworkNamespace& where, const ServiceDrop& wanted);

// The same, but the ranges that are dropped already go on being dropped. Reading and loading are one step
// within a process, so that two who widen the rule do not lose each other's range.
Result<> widen_service_drop(const NetworkNamespace& where, const ServiceDrop& wanted);

// What the kernel has, ranges and interfaces sorted. NotFound without the table; InternalError, which says
// what differs, if the table does not drop what it should.
Result<ServiceDrop> read_service_drop(const NetworkNamespace& where, std::string_view cluster);

// Success only if every one of `service_ranges` is dropped in `where`.
Result<> check_service_drop(const NetworkNamespace& where, std::string_view cluster,
                            const std::vector<IpPrefix>& service_ranges);

struct DropCount {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
Result<DropCount> service_drop_count(const NetworkNamespace& where, std::string_view cluster);

// Absent is success. Last of all: after the routes to the ranges are gone.
Result<> remove_service_drop(const NetworkNamespace& where, std::string_view cluster);

}  // namespace rusternetes::network
