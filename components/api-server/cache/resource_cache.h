#pragma once
// The watch cache of one stored resource: the present as a persistent map, the recent past as snapshots and events.
// Written by the cache thread alone; read from any thread.

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "api-server/cache/persistent_map.h"
#include "apimachinery/schema.h"
#include "base/clock.h"
#include "base/status.h"

namespace rusternetes::api_server {

struct CacheEvent {
  enum class Type { added, modified, removed };
  Type type = Type::added;
  EntryPtr now;     // of a removal: the last state, with the revision of the removal
  EntryPtr before;  // null when added
  storage::Revision revision = 0;
};

// The map at a revision. Copying is cheap.
struct Snapshot {
  PersistentMap map;
  storage::Revision revision = 0;  // of the last change of this resource
};

class ResourceCache {
 public:
  // `owner` keeps a run-time kind alive.
  ResourceCache(const apimachinery::Kind& storage_kind, const Clock& clock,
                std::shared_ptr<const apimachinery::SchemaSet> owner = {});
  const apimachinery::Kind& kind() const { return kind_; }
  // What a watcher is told of an object that went, or that its selectors do not match any more: its last state that was
  // there for them, with the revision at which it went.
  EntryPtr last_state(const ObjectEntry& entry, storage::Revision revision) const;

  Snapshot snapshot() const;
  // What was there at an older revision; nothing when that is no longer kept.
  std::optional<Snapshot> snapshot_at(storage::Revision revision) const;
  // Rises with every change.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Events behind a place in the sequence. `sequence` moves on. At most `limit` at a time. 410 when they are gone.
  Result<void> events_after(std::uint64_t& sequence, std::size_t limit, std::vector<CacheEvent>& out) const;
  // The place behind every event up to `revision`; 410 when the past does not reach so far back.
  Result<std::uint64_t> place_of(storage::Revision revision) const;
  // A snapshot and the place behind it, together.
  std::pair<Snapshot, std::uint64_t> snapshot_and_place() const;

  // `wake` is called, on the cache thread, after every change until the subscription is destroyed; it must only post.
  class Subscription {
   public:
    Subscription(ResourceCache& cache, std::function<void()> wake);
    ~Subscription();
    Subscription(const Subscription&) = delete;

   private:
    ResourceCache& cache_;
    std::list<std::function<void()>>::iterator at_;
  };

  // From the cache thread.
  void load(PersistentMap map, storage::Revision revision);
  void apply(std::vector<CacheEvent> events);
  // What was written up to here is in what load() brought.
  storage::Revision loaded_revision() const { return loaded_revision_.load(std::memory_order_acquire); }
  // Wakes the subscribers without a change (bookmarks).
  void wake_all();
  // The resource is served no more: its watches end.
  void retire();
  bool is_retired() const { return is_retired_.load(std::memory_order_acquire); }

 private:
  struct Past {
    Snapshot snapshot;
    SteadyTime at;
    std::size_t bytes;  // what only the past still holds, roughly
  };
  void trim(SteadyTime now);

  const apimachinery::Kind& kind_;
  const std::shared_ptr<const apimachinery::SchemaSet> owner_;
  const Clock& clock_;
  std::atomic<storage::Revision> loaded_revision_{0};
  std::atomic<bool> is_retired_{false};
  mutable std::mutex mutex_;
  Snapshot present_;
  std::deque<Past> past_;  // ascending; past_.back() is the one before the present
  std::size_t past_bytes_ = 0;
  std::deque<CacheEvent> events_;
  std::uint64_t first_sequence_ = 0;       // of events_.front()
  storage::Revision events_start_ = 0;     // every event after this revision is in events_
  std::atomic<std::uint64_t> generation_{0};
  std::mutex subscribers_mutex_;
  std::list<std::function<void()>> subscribers_;
};

}  // namespace rusternetes::api_server
