#pragma once
// What becomes of a cluster's objects when another cluster, perhaps beside it, begins with them. Pure: from
// what the store has to what is written and removed.
//
// Gone are facts about the running cluster, which the new one finds out for itself: leases, events, Pods that
// a controller makes again or that have ended, endpoints that a controller writes, addresses and states of
// nodes, certificate requests, the cluster's own Services and certificates in ConfigMaps, added ServiceCIDRs.
// Services keep their place within the range of the new cluster, or get a free one. A bare Pod is to be
// scheduled anew, with a uid of its own: containers of both clusters may be side by side in one engine.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "launcher/ports/store_port.h"

namespace rusternetes::launcher {

struct StoredObject {
  std::string key;
  std::shared_ptr<const std::string> value;  // null where only the key is looked at
};
struct StoreChanges {
  std::vector<StoredObject> puts;     // no key twice, and none that is removed
  std::vector<std::string> removals;  // keys that are there
};

// What has to be read: every key that begins so, with its value or without.
struct AdaptedPrefix {
  std::string_view prefix;
  bool is_keys_only = false;
};
std::span<const AdaptedPrefix> adapted_prefixes();

// `objects`: all that adapted_prefixes() name. StoreDamaged for one that cannot be read; PoolExhausted when
// the range has no room.
Result<StoreChanges> adapt_objects(const std::vector<StoredObject>& objects, const Adaptation& adaptation);

}  // namespace rusternetes::launcher
