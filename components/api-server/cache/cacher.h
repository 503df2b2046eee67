#pragma once
// All watch caches, fed by one watch over the whole key space (invariant 5). The cache thread decodes what the store
// commits; readers wait, if they must, until it has come as far as the revision they need.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api-server/authorizer.h"
#include "api-server/cache/resource_cache.h"
#include "apimachinery/registry.h"
#include "base/task.h"
#include "storage/store.h"

namespace rusternetes::api_server {

class Cacher final : public ObjectSource {
 public:
  Cacher(storage::Store& store, std::shared_ptr<const apimachinery::Registry> registry,
         const Clock& clock = Clock::system());
  ~Cacher() override;

  // Reads everything and begins to follow. Blocking.
  Result<void> start();
  void stop();

  // The cache of a kind's storage; null for what is not stored.
  std::shared_ptr<ResourceCache> find(const apimachinery::Kind& kind) const;
  std::shared_ptr<ResourceCache> find(std::string_view group, std::string_view resource) const;
  // Everything committed up to here is in the caches.
  storage::Revision revision() const { return revision_.load(std::memory_order_acquire); }
  // Returns when revision() >= `revision`; 504 after 3 s, as Kubernetes answers.
  Task<Result<void>> wait_for(storage::Revision revision);
  // The same from a plain thread (start-up, tests).
  void wait_for_blocking(storage::Revision revision);
  // Returns when everything committed before the call is in the caches, which are a moment behind the store: who would
  // refuse a request by what they hold waits first and decides anew.
  Task<Result<void>> wait_for_newest();
  // A revision not older than any write acknowledged, by any api-server, before the call (invariant 5). The caches may not
  // have come so far.
  Task<Result<storage::Revision>> newest();

  std::shared_ptr<const apimachinery::Registry> registry() const;
  // Kinds that came get caches, kinds that went lose theirs. Blocking.
  Result<void> set_registry(std::shared_ptr<const apimachinery::Registry> registry);

  // ObjectSource
  apimachinery::Document get(std::string_view group, std::string_view resource, std::string_view name_space,
                             std::string_view name) const override;
  std::vector<apimachinery::Document> list(std::string_view group, std::string_view resource,
                                           std::string_view name_space) const override;
  std::uint64_t generation(std::string_view group, std::string_view resource) const override;

  // Whether a read of the store is answered at all, in as long as the store gives it.
  Task<Result<void>> reach_store();
  // An error once the store has ended the watch: the caches do not follow any more.
  Result<void> check() const;

  storage::Store& store() { return store_; }
  // Decodes one stored object (for reads of the past, and writers that must see the newest state).
  Result<EntryPtr> decode(const apimachinery::Kind& storage_kind, const storage::KeyValue& kv) const;

 private:
  void on_batch(std::shared_ptr<const storage::WatchBatch> batch);
  std::shared_ptr<ResourceCache> cache_of_key(std::string_view key, std::string_view& rest) const;
  Result<void> load_all();
  void begin_anew(std::shared_ptr<const storage::WatchBatch> failure);
  void advance(storage::Revision revision);

  storage::Store& store_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const apimachinery::Registry> registry_;
  std::map<std::string, std::shared_ptr<ResourceCache>, std::less<>> by_prefix_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<ResourceCache>, std::less<>> by_resource_;
  std::atomic<storage::Revision> revision_{0};
  mutable std::mutex waiters_mutex_;
  std::condition_variable waiters_wake_;
  std::multimap<storage::Revision, std::function<void()>*> waiters_;
  bool has_failed_ = false;  // under waiters_mutex_
  std::unique_ptr<EventThread> thread_;
  std::unique_ptr<storage::Watch> watch_;  // the cache thread's, once it runs
  std::unique_ptr<asio::steady_timer> retry_;
};

}  // namespace rusternetes::api_server
