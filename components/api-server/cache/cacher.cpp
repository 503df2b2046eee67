#include "api-server/cache/cacher.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>

#include "api-server/storage_codec.h"
#include "api-server/store_call.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "base/log.h"
#include "storage/blocking.h"

namespace rusternetes::api_server {

using namespace apimachinery;

Cacher::Cacher(storage::Store& store, std::shared_ptr<const Registry> registry, const Clock& clock)
    : store_(store), clock_(clock), registry_(std::move(registry)) {}

Cacher::~Cacher() { stop(); }

void Cacher::stop() {
  if (thread_) thread_->stop();
  watch_.reset();
  retry_.reset();
  thread_.reset();
}

Result<void> Cacher::start() {
  thread_ = std::make_unique<EventThread>("watch-cache");
  RN_CHECK(load_all());
  return {};
}

std::shared_ptr<const Registry> Cacher::registry() const {
  std::lock_guard lock(mutex_);
  return registry_;
}

// What is read is as the store was at one revision, behind which the watch begins: so nothing falls between.
Result<void> Cacher::load_all() {
  RN_TRY(const storage::Revision revision, storage::blocking_call<storage::Revision>([&](auto done) {
           store_.newest_revision(std::move(done));
         }));
  const auto served = registry();
  decltype(by_prefix_) loaded;
  decltype(by_resource_) by_resource;
  for (const Kind* kind : served->resources()) {
    if (!kind->is_stored()) continue;
    const Kind* stored = served->storage_kind(*kind);
    const std::string prefix = storage_prefix(*stored);
    auto& cache = loaded[prefix];
    if (!cache) {
      cache = std::make_shared<ResourceCache>(*stored, clock_, served->owner(*stored));
      RN_TRY(const auto all, store_.range({.key = prefix, .range_end = storage::prefix_end(prefix), .revision = revision}));
      PersistentMap map;
      for (const auto& kv : all.kvs) {
        auto entry = decode(*stored, kv);
        if (!entry) {
          log::error("watch-cache", "cannot read {}: {}", kv.key, entry.error().message);
          continue;
        }
        map = map.put(*entry);
      }
      cache->load(std::move(map), revision);
    }
    by_resource[{std::string(kind->group_version.group), std::string(kind->resource)}] = cache;
  }
  {
    std::lock_guard lock(mutex_);
    if (registry_ != served) return internal_error("the kinds changed while they were being read");
    by_prefix_.swap(loaded);
    by_resource_ = std::move(by_resource);
  }
  RN_TRY(watch_, store_.watch({.key = std::string(1, '\0'), .range_end = std::string(1, '\0'),
                               .start_revision = revision + 1, .previous = false},
                              [this](std::shared_ptr<const storage::WatchBatch> batch) {
                                asio::post(thread_->context(), [this, batch] { on_batch(batch); });
                                return true;
                              }));
  advance(revision);
  for (const auto& [_, cache] : loaded) cache->retire();  // what was there before, if anything
  return {};
}

Result<void> Cacher::set_registry(std::shared_ptr<const Registry> registry) {
  std::unique_lock lock(mutex_);
  registry_ = std::move(registry);
  std::map<std::string, std::shared_ptr<ResourceCache>, std::less<>> kept;
  by_resource_.clear();
  for (const Kind* kind : registry_->resources()) {
    if (!kind->is_stored()) continue;
    const Kind* stored = registry_->storage_kind(*kind);
    const std::string prefix = storage_prefix(*stored);
    auto& cache = kept[prefix];
    if (auto it = by_prefix_.find(prefix); !cache && it != by_prefix_.end() && &it->second->kind() == stored)
      cache = it->second;
    if (!cache) {
      cache = std::make_shared<ResourceCache>(*stored, clock_, registry_->owner(*stored));
      // The cache thread, which waits for this lock, leaves out what is read here.
      RN_TRY(const auto all, store_.range({.key = prefix, .range_end = storage::prefix_end(prefix)}));
      PersistentMap map;
      for (const auto& kv : all.kvs)
        if (auto entry = decode(*stored, kv)) map = map.put(*entry);
      cache->load(std::move(map), all.revision);
    }
    by_resource_[{std::string(kind->group_version.group), std::string(kind->resource)}] = cache;
  }
  by_prefix_.swap(kept);
  std::erase_if(kept, [&](const auto& entry) {
    const auto it = by_prefix_.find(entry.first);
    return it != by_prefix_.end() && it->second == entry.second;
  });
  lock.unlock();
  for (const auto& entry : kept) entry.second->retire();
  return {};
}

Result<EntryPtr> Cacher::decode(const Kind& stored, const storage::KeyValue& kv) const {
  Arena arena;
  RN_TRY(Value value, decode_from_storage(arena, *kv.value, stored, *registry_));
  set_resource_version(arena, *stored.type, value, kv.mod_revision);
  const std::size_t prefix = registry_root.size() + stored.storage_prefix.size() + 1;
  return EntryPtr(new ObjectEntry(kv.key.substr(std::min(prefix, kv.key.size())), kv.mod_revision,
                                  Document::freeze(value, *stored.type, registry_->owner(stored))));
}

// "/registry/pods/..." or "/registry/services/specs/...": one segment, or two.
std::shared_ptr<ResourceCache> Cacher::cache_of_key(std::string_view key, std::string_view& rest) const {
  std::size_t at = registry_root.size();
  for (int segments = 0; segments < 2; ++segments) {
    at = key.find('/', at);
    if (at == std::string_view::npos) return nullptr;
    ++at;
    if (auto it = by_prefix_.find(key.substr(0, at)); it != by_prefix_.end()) {
      rest = key.substr(at);
      return it->second;
    }
  }
  return nullptr;
}

void Cacher::on_batch(std::shared_ptr<const storage::WatchBatch> batch) {
  if (batch->is_error()) return begin_anew(std::move(batch));
  std::map<std::shared_ptr<ResourceCache>, std::vector<CacheEvent>> changes;
  {
    std::lock_guard lock(mutex_);
    for (const auto& event : batch->events) {
      std::string_view rest;
      const auto cache = cache_of_key(event.kv.key, rest);
      if (!cache || event.kv.mod_revision <= cache->loaded_revision()) continue;
      auto& events = changes[cache];
      // What the key was: the newest of this batch, else the cache.
      EntryPtr before;
      for (auto it = events.rbegin(); it != events.rend() && !before; ++it)
        if (it->now->key == rest) {
          before = it->now;
          if (it->type == CacheEvent::Type::removed) before = nullptr;
          break;
        }
      if (!before && std::none_of(events.begin(), events.end(), [&](const auto& e) { return e.now->key == rest; }))
        before = cache->snapshot().map.find(rest);
      CacheEvent out;
      out.revision = event.kv.mod_revision;
      out.before = before;
      if (event.type == storage::Event::Type::remove) {
        if (!before) continue;
        out.type = CacheEvent::Type::removed;
        out.now = cache->last_state(*before, out.revision);
      } else {
        auto entry = decode(cache->kind(), event.kv);
        if (!entry) {
          log::error("watch-cache", "cannot read {}: {}", event.kv.key, entry.error().message);
          continue;
        }
        out.type = before ? CacheEvent::Type::modified : CacheEvent::Type::added;
        out.now = *entry;
      }
      events.push_back(std::move(out));
    }
  }
  for (auto& [cache, events] : changes) cache->apply(std::move(events));
  advance(batch->revision);
}

// The watch has ended: what it would have gone on from is compacted, after a long time without the store or since the store
// was restored. Everything is read anew, and who watches must list again.
void Cacher::begin_anew(std::shared_ptr<const storage::WatchBatch> failure) {
  {
    std::lock_guard lock(waiters_mutex_);
    has_failed_ = true;
  }
  log::warn("watch-cache", "the store's watch ended ({}); everything is read anew", failure->error.message);
  watch_.reset();
  auto loaded = load_all();
  if (loaded) {
    std::lock_guard lock(waiters_mutex_);
    has_failed_ = false;
    return;
  }
  log::error("watch-cache", "the store cannot be read: {}", loaded.error().message);
  auto again = std::make_shared<storage::WatchBatch>();
  again->error = loaded.error();
  retry_ = std::make_unique<asio::steady_timer>(thread_->context(), std::chrono::seconds(1));
  retry_->async_wait([this, again](boost::system::error_code error) {
    if (!error) begin_anew(again);
  });
}

void Cacher::advance(storage::Revision revision) {
  {
    std::lock_guard lock(waiters_mutex_);
    revision_.store(revision, std::memory_order_release);
    const auto end = waiters_.upper_bound(revision);
    for (auto it = waiters_.begin(); it != end; ++it) (*it->second)();  // posts; it may leave as soon as the lock is let go
    waiters_.erase(waiters_.begin(), end);
  }
  waiters_wake_.notify_all();
}

Result<void> Cacher::check() const {
  std::lock_guard lock(waiters_mutex_);
  if (has_failed_) return internal_error("the store's watch has ended; restart the server");
  return {};
}

namespace {

// A waiter's place, left however the wait ends.
template <class Map>
class Place {
 public:
  Place(std::mutex& mutex, Map& map, storage::Revision revision, std::function<void()>* wake)
      : mutex_(mutex), map_(map), revision_(revision), wake_(wake) {
    map_.emplace(revision, wake);
  }
  Place(const Place&) = delete;
  ~Place() {
    std::lock_guard lock(mutex_);
    const auto [from, to] = map_.equal_range(revision_);
    for (auto it = from; it != to; ++it)
      if (it->second == wake_) {
        map_.erase(it);
        return;
      }
  }

 private:
  std::mutex& mutex_;
  Map& map_;
  storage::Revision revision_;
  std::function<void()>* wake_;
};

}  // namespace

Task<Result<storage::Revision>> Cacher::newest() {
  if (!store_.has_other_writers()) co_return store_.current_revision();
  auto ask = [&store = store_](auto done) { store.newest_revision(std::move(done)); };
  co_return co_await store_call<storage::Revision>(ask);
}

Task<Result<void>> Cacher::reach_store() {
  const auto revision = co_await newest();
  if (!revision) co_return revision.error();
  co_return Result<void>{};
}

Task<Result<void>> Cacher::wait_for_newest() {
  const auto revision = co_await newest();
  if (!revision) co_return revision.error();
  co_return co_await wait_for(*revision);
}

Task<Result<void>> Cacher::wait_for(storage::Revision revision) {
  if (revision_.load(std::memory_order_acquire) >= revision) co_return Result<void>{};
  auto executor = co_await asio::this_coro::executor;
  auto event = std::make_shared<AsyncEvent>(executor);
  std::function<void()> wake = [executor, event] { asio::post(executor, [event] { event->set(); }); };
  std::optional<Place<decltype(waiters_)>> place;
  {
    std::lock_guard lock(waiters_mutex_);
    if (revision_.load(std::memory_order_acquire) >= revision) co_return Result<void>{};
    place.emplace(waiters_mutex_, waiters_, revision, &wake);
  }
  const bool is_there = co_await event->wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(3));
  if (!is_there) co_return too_large_resource_version(revision, revision_.load());
  co_return Result<void>{};
}

void Cacher::wait_for_blocking(storage::Revision revision) {
  std::unique_lock lock(waiters_mutex_);
  waiters_wake_.wait_for(lock, std::chrono::seconds(10),
                         [&] { return revision_.load(std::memory_order_acquire) >= revision; });
}

std::shared_ptr<ResourceCache> Cacher::find(std::string_view group, std::string_view resource) const {
  std::lock_guard lock(mutex_);
  auto it = by_resource_.find(std::pair(std::string(group), std::string(resource)));
  return it == by_resource_.end() ? nullptr : it->second;
}

std::shared_ptr<ResourceCache> Cacher::find(const Kind& kind) const {
  return find(kind.group_version.group, kind.resource);
}

Document Cacher::get(std::string_view group, std::string_view resource, std::string_view name_space,
                     std::string_view name) const {
  auto cache = find(group, resource);
  if (!cache) return {};
  std::string key(name_space);
  if (!key.empty()) key += '/';
  key += name;
  const EntryPtr entry = cache->snapshot().map.find(key);
  return entry ? entry->document : Document{};
}

std::vector<Document> Cacher::list(std::string_view group, std::string_view resource,
                                   std::string_view name_space) const {
  std::vector<Document> out;
  auto cache = find(group, resource);
  if (!cache) return out;
  const Snapshot snapshot = cache->snapshot();
  std::string prefix(name_space);
  if (!prefix.empty()) prefix += '/';
  auto cursor = snapshot.map.from(prefix);
  while (const EntryPtr* entry = cursor.next()) {
    if (!(*entry)->key.starts_with(prefix)) break;
    out.push_back((*entry)->document);
  }
  return out;
}

std::uint64_t Cacher::generation(std::string_view group, std::string_view resource) const {
  auto cache = find(group, resource);
  return cache ? cache->generation() : 0;
}

}  // namespace rusternetes::api_server
