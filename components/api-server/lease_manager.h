#pragma once
// Objects that end by themselves (Events) hang on leases of the store. One lease serves what is written within a short time,
// so that there are few of them (k8s.io/apiserver storage/etcd3 lease_manager.go).

#include <chrono>
#include <memory>

#include "base/clock.h"
#include "base/task.h"
#include "storage/store.h"

namespace rusternetes::api_server {

class LeaseManager {
 public:
  // `store` and `clock` outlive it.
  LeaseManager(storage::Store& store, const Clock& clock);

  // A lease that lasts at least `ttl` from now, and at most a twentieth of it, or a minute, longer. Nothing (0) for a ttl of
  // less than a second. Thread-safe. Callers agree on one ttl: who waits for a lease being granted gets it, whatever he asked for.
  Task<Result<storage::LeaseId>> lease_for(std::chrono::seconds ttl);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rusternetes::api_server
