#include "api-server/lease_manager.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "api-server/store_call.h"

namespace rusternetes::api_server {

namespace {

constexpr std::chrono::seconds longest_reuse{60};
constexpr int most_objects = 1000;

std::chrono::seconds reuse_of(std::chrono::seconds ttl) { return std::min(ttl / 20, longest_reuse); }

}  // namespace

// Kept by the grants under way: one may outlive the manager.
struct LeaseManager::State : std::enable_shared_from_this<LeaseManager::State> {
  using Done = std::function<void(Result<storage::LeaseId>)>;

  State(storage::Store& s, const Clock& c) : store(s), clock(c) {}

  storage::Store& store;
  const Clock& clock;
  std::mutex mutex;
  storage::LeaseId id = 0;  // the newest lease, which ends at `ends`
  SteadyTime ends{};
  int objects = 0;
  bool is_granting = false;
  std::vector<Done> waiting;  // for the lease that is being granted

  bool can_reuse(std::chrono::seconds ttl, SteadyTime now) const {
    return id != 0 && now + ttl <= ends && now + ttl + reuse_of(ttl) >= ends && objects < most_objects;
  }

  void get(std::chrono::seconds ttl, Done done) {
    const auto now = clock.steady_now();
    storage::LeaseId found = 0;
    {
      std::lock_guard lock(mutex);
      if (can_reuse(ttl, now)) {
        ++objects;
        found = id;
      } else {
        waiting.push_back(std::move(done));
        if (std::exchange(is_granting, true)) return;
      }
    }
    if (found) return done(found);
    const auto lifetime = ttl + reuse_of(ttl);
    store.lease_grant(0, lifetime.count(), [self = shared_from_this(), ends = now + lifetime](Result<storage::LeaseInfo> granted) {
      self->finish(std::move(granted), ends);
    });
  }

  void finish(Result<storage::LeaseInfo> granted, SteadyTime end) {
    std::vector<Done> ready;
    {
      std::lock_guard lock(mutex);
      is_granting = false;
      ready.swap(waiting);
      if (granted) {
        id = granted->id;
        ends = end;
        objects = static_cast<int>(ready.size());
      }
    }
    for (auto& done : ready) {
      if (granted)
        done(granted->id);
      else
        done(granted.error());
    }
  }
};

LeaseManager::LeaseManager(storage::Store& store, const Clock& clock) : state_(std::make_shared<State>(store, clock)) {}

Task<Result<storage::LeaseId>> LeaseManager::lease_for(std::chrono::seconds ttl) {
  if (ttl.count() <= 0) co_return storage::LeaseId{0};
  auto get = [state = state_, ttl](auto done) { state->get(ttl, std::move(done)); };
  auto lease = co_await store_call<storage::LeaseId>(get);
  co_return lease;
}

}  // namespace rusternetes::api_server
