#pragma once
// Where the Services and what they hold, IPAddress objects and node ports, do not say the same
// (pkg/registry/core/service/ipallocator/controller, .../portallocator/controller). Each of our writes
// changes both in one transaction, so this comes of others' writes only: by hand, by a kube-apiserver that
// died in between, by a cluster's data of before IPAddress objects. Pure: functions of what was read, and
// `now`.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/cache/resource_cache.h"
#include "api-server/strategy/service_node_ports.h"
#include "apimachinery/cidr.h"

namespace rusternetes::api_server {

// What people are told, as a warning about an object.
struct RepairReport {
  EntryPtr about;
  bool is_about_service = true;  // or about an IPAddress
  std::string reason, message;
};

struct AddressRepair {
  enum class Action { create, hand_over, remove } action = Action::create;
  apimachinery::IpAddress address;
  EntryPtr held;   // the IPAddress as it was seen; null: there was none
  EntryPtr owner;  // whose it becomes; null when it is removed
  // Services as they were seen, by "namespace/name", null: there was none. The repair is right as long as
  // they are so.
  std::vector<std::pair<std::string, EntryPtr>> seen;
  RepairReport report;  // once it is done; without a reason: nothing
};
struct AddressPlan {
  std::vector<AddressRepair> repairs;
  std::vector<RepairReport> reports;  // what only people can mend
  std::int64_t look_again_us = 0;     // when something will be old enough to be removed; 0: nothing is
};
AddressPlan plan_address_repairs(const Snapshot& services, const Snapshot& addresses, const Snapshot& cidrs,
                                 std::int64_t now_us);

// Whether a change of a Service, an IPAddress or a ServiceCIDR may change the plan: most, of a status or of
// labels, do not. `before` is null for a new object, and `is_gone` true for one that was there.
bool concerns_addresses(std::string_view resource, const EntryPtr& before, const EntryPtr& now, bool is_gone);

// A port that no Service has is given back in the third round that finds it so, since a kube-apiserver takes
// a port before it writes the Service. (Only patience is kept here: what is written is compared.)
using LeakedPorts = std::map<std::size_t, int>;  // bit → rounds that it may still live
struct PortPlan {
  NodePortSet ports;
  std::vector<RepairReport> reports;
  LeakedPorts leaks;
};
PortPlan plan_port_repairs(NodePortSet stored, const Snapshot& services, LeakedPorts leaks);

}  // namespace rusternetes::api_server
