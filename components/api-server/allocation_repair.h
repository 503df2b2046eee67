#pragma once
// Keeps what Services hold and who holds it in agreement: at the start, when addresses of Services,
// IPAddresses or ServiceCIDRs change, and every few minutes. What it finds is allocation_repair_plan.h's;
// each change is a transaction that compares what the finding rests on, so any number of api-servers may do
// this at once, and a finding out of a stale view changes nothing.

#include <memory>
#include <set>
#include <vector>

#include "api-server/allocation_repair_options.h"
#include "api-server/allocation_repair_plan.h"
#include "api-server/cache/cacher.h"
#include "base/worker.h"
#include "client/event_recorder.h"

namespace rusternetes::api_server {

class AllocationRepair {
 public:
  // `cacher` and `clock` outlive it; events are written by `client`, on whose executor it lives.
  AllocationRepair(Cacher& cacher, std::unique_ptr<client::ApiClient> client, const Clock& clock,
                   AllocationRepairOptions options);
  void start();
  Task<> stop();

  // One look each. What others changed meanwhile is left to the next one.
  Task<Result<void>> repair_addresses();
  Task<Result<void>> repair_ports();

 private:
  // A resource whose changes may need a repair, and how far they were looked at.
  struct Watched {
    std::string_view resource;
    std::shared_ptr<ResourceCache> cache;
    std::uint64_t place = 0;
    std::unique_ptr<ResourceCache::Subscription> subscription;
  };
  Task<> run();
  void watch();
  // Whether anything that came since the last call may need a repair.
  bool has_work();
  Task<Result<bool>> mend(AddressRepair repair);
  Task<Result<bool>> commit(storage::TxnRequest request);
  void tell(client::EventRecorder& recorder, const RepairReport& report);
  std::int64_t now_us() const;

  Cacher& cacher_;
  std::unique_ptr<client::ApiClient> client_;
  const Clock& clock_;
  AllocationRepairOptions options_;
  client::EventRecorder address_events_, port_events_;
  WorkerThread worker_{"repair"};
  std::shared_ptr<AsyncEvent> wake_;
  std::vector<Watched> watched_;
  std::int64_t look_again_us_ = 0;
  LeakedPorts leaks_;
  std::set<std::string> told_;  // in this interval
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
