#include "api-server/cache/resource_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/storage_codec.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using apimachinery::Document;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {
constexpr auto kept_for = std::chrono::minutes(5);
constexpr std::size_t kept_bytes = 64u << 20;
constexpr std::size_t kept_events = 100;  // at least so many, however old
}  // namespace

ResourceCache::ResourceCache(const apimachinery::Kind& storage_kind, const Clock& clock,
                             std::shared_ptr<const apimachinery::SchemaSet> owner)
    : kind_(storage_kind), owner_(std::move(owner)), clock_(clock) {}

EntryPtr ResourceCache::last_state(const ObjectEntry& entry, storage::Revision revision) const {
  const apimachinery::Type& type = *kind_.type;
  apimachinery::Arena arena;
  Value copy = Value::empty(ValueKind::structure);
  for (const Value& child : entry.document.root().children())
    apimachinery::set_field(arena, copy, child.field) = child;
  if (Value* metadata = copy.get(metadata_field(type))) *metadata = apimachinery::deep_copy(arena, *metadata);
  set_resource_version(arena, type, copy, revision);
  return EntryPtr(new ObjectEntry(entry.key, revision, Document::freeze(copy, type, owner_)));
}

Snapshot ResourceCache::snapshot() const {
  std::lock_guard lock(mutex_);
  return present_;
}

std::optional<Snapshot> ResourceCache::snapshot_at(storage::Revision revision) const {
  std::lock_guard lock(mutex_);
  if (revision >= present_.revision) return present_;
  const auto after = std::upper_bound(past_.begin(), past_.end(), revision,
                                      [](storage::Revision r, const Past& p) { return r < p.snapshot.revision; });
  if (after == past_.begin()) return std::nullopt;
  return std::prev(after)->snapshot;
}

Result<void> ResourceCache::events_after(std::uint64_t& sequence, std::size_t limit,
                                         std::vector<CacheEvent>& out) const {
  std::lock_guard lock(mutex_);
  if (sequence < first_sequence_) return apimachinery::expired("too old resource version: the watch fell too far behind");
  const std::size_t at = sequence - first_sequence_;
  const std::size_t end = std::min(events_.size(), at + limit);
  for (std::size_t i = at; i < end; ++i) out.push_back(events_[i]);
  sequence = first_sequence_ + end;
  return {};
}

Result<std::uint64_t> ResourceCache::place_of(storage::Revision revision) const {
  std::lock_guard lock(mutex_);
  if (revision < events_start_)
    return apimachinery::expired(fmt::format("too old resource version: {} ({})", revision, events_start_));
  const auto after = std::upper_bound(events_.begin(), events_.end(), revision,
                                      [](storage::Revision r, const CacheEvent& e) { return r < e.revision; });
  return first_sequence_ + static_cast<std::uint64_t>(after - events_.begin());
}

std::pair<Snapshot, std::uint64_t> ResourceCache::snapshot_and_place() const {
  std::lock_guard lock(mutex_);
  return {present_, first_sequence_ + events_.size()};
}

void ResourceCache::load(PersistentMap map, storage::Revision revision) {
  std::lock_guard lock(mutex_);
  present_ = {std::move(map), revision};
  past_.clear();
  past_bytes_ = 0;
  first_sequence_ += events_.size() + 1;  // whoever is in the middle must list again
  events_.clear();
  events_start_ = revision;
  loaded_revision_.store(revision, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

void ResourceCache::apply(std::vector<CacheEvent> events) {
  const SteadyTime now = clock_.steady_now();
  {
    std::lock_guard lock(mutex_);
    for (auto& event : events) {
      if (event.revision != present_.revision) {
        const std::size_t bytes = 1024 + (event.before ? event.before->memory_bytes() : 0);
        past_.push_back({present_, now, bytes});
        past_bytes_ += bytes;
      }
      present_.map = event.type == CacheEvent::Type::removed ? present_.map.erase(event.now->key)
                                                             : present_.map.put(event.now);
      present_.revision = event.revision;
      events_.push_back(std::move(event));
    }
    trim(now);
  }
  generation_.fetch_add(events.size(), std::memory_order_acq_rel);
  wake_all();
}

void ResourceCache::trim(SteadyTime now) {
  while (!past_.empty() && (past_.front().at + kept_for < now || past_bytes_ > kept_bytes)) {
    past_bytes_ -= past_.front().bytes;
    past_.pop_front();
  }
  // Events reach as far back as the snapshots do, since both hold the same old entries.
  const storage::Revision oldest = past_.empty() ? present_.revision : past_.front().snapshot.revision;
  while (events_.size() > kept_events && events_.front().revision <= oldest) {
    events_start_ = events_.front().revision;
    events_.pop_front();
    ++first_sequence_;
  }
}

void ResourceCache::retire() {
  is_retired_.store(true, std::memory_order_release);
  wake_all();
}

void ResourceCache::wake_all() {
  std::lock_guard lock(subscribers_mutex_);
  for (auto& wake : subscribers_) wake();
}

ResourceCache::Subscription::Subscription(ResourceCache& cache, std::function<void()> wake) : cache_(cache) {
  std::lock_guard lock(cache_.subscribers_mutex_);
  at_ = cache_.subscribers_.insert(cache_.subscribers_.end(), std::move(wake));
}
ResourceCache::Subscription::~Subscription() {
  std::lock_guard lock(cache_.subscribers_mutex_);
  cache_.subscribers_.erase(at_);
}

}  // namespace rusternetes::api_server
