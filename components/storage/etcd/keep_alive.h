#pragma once
// One renewal of a lease: a stream with one request and one answer.

#include <functional>
#include <memory>

#include "storage/etcd/call.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

// `done` gets the TTL; 0: there is no such lease.
void keep_alive_once(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, LeaseId id,
                     std::function<void(Result<std::int64_t>)> done);

}  // namespace rusternetes::storage::etcd
