#include "storage/sqlite/watch_hub.h"

#include <algorithm>
#include <functional>

namespace rusternetes::storage::sqlite {

bool WatchHub::Watcher::matches(std::string_view key) const {
  if (request.range_end.empty()) return key == request.key;
  if (key < request.key) return false;
  return request.range_end == std::string_view("\0", 1) || key < request.range_end;
}

std::unique_ptr<WatchHub::Group>& WatchHub::slot(const WatchRequest& request) {
  if (request.range_end.empty()) return keys_[request.key];
  if (!request.key.empty() && request.range_end == prefix_end(request.key)) return prefixes_[request.key];
  return ranges_[{request.key, request.range_end}];
}

void WatchHub::join(const std::shared_ptr<Watcher>& watcher) {
  const auto& request = watcher->request;
  auto& group = slot(request);
  if (!group) {
    group = std::make_unique<Group>(Group{request.key, request.range_end, {}, {}});
    if (prefixes_.contains(request.key) && prefixes_.find(request.key)->second == group)
      ++prefix_lengths_[request.key.size()];
  }
  watcher->group = group.get();
  watcher->place = group->watchers.size();
  group->watchers.push_back(watcher);
}

void WatchHub::leave(Watcher& watcher) {
  Group* group = std::exchange(watcher.group, nullptr);
  if (!group) return;
  auto& last = group->watchers.back();
  last->place = watcher.place;
  std::swap(group->watchers[watcher.place], last);
  group->watchers.pop_back();
  if (!group->watchers.empty()) return;
  const std::string key = group->key;
  if (group->range_end.empty()) {
    keys_.erase(key);
  } else if (const auto it = prefixes_.find(key); it != prefixes_.end() && it->second.get() == group) {
    prefixes_.erase(it);
    if (const auto length = prefix_lengths_.find(key.size()); --length->second == 0)
      prefix_lengths_.erase(length);
  } else {
    ranges_.erase({key, std::string(group->range_end)});
  }
}

void WatchHub::find_groups(std::string_view key, const std::function<void(Group&)>& visit) {
  if (const auto it = keys_.find(key); it != keys_.end()) visit(*it->second);
  for (const auto& [length, _] : prefix_lengths_) {
    if (length > key.size()) break;
    if (const auto it = prefixes_.find(key.substr(0, length)); it != prefixes_.end()) visit(*it->second);
  }
  for (const auto& [_, group] : ranges_)
    if (group->watchers.front()->matches(key)) visit(*group);
}

std::shared_ptr<WatchHub::Watcher> WatchHub::add(WatchRequest request, Store::WatchCallback callback,
                                                 Revision delivered) {
  auto watcher = std::make_shared<Watcher>();
  watcher->request = std::move(request);
  watcher->callback = std::move(callback);
  std::lock_guard lock(mutex_);
  watcher->delivered = delivered < 0 ? published_ : delivered;
  watcher->in_step = watcher->delivered >= published_;
  join(watcher);
  if (!watcher->in_step) {
    behind_.push_back(watcher);
    wake_.notify_one();
  }
  return watcher;
}

void WatchHub::remove(const std::shared_ptr<Watcher>& watcher) {
  {
    std::lock_guard lock(mutex_);
    leave(*watcher);
    if (!watcher->in_step) behind_.remove(watcher);
  }
  std::lock_guard own(watcher->mutex);  // no callback runs once this is ours
  watcher->closed = true;
  watcher->callback = nullptr;
}

void WatchHub::publish(std::vector<Committed> batch) {
  if (batch.empty()) return;
  std::lock_guard lock(mutex_);
  const Revision first = batch.front().revision, last = batch.back().revision;
  std::vector<Group*> touched;
  for (const auto& committed : batch)
    for (const auto& event : committed.events)
      find_groups(event.kv.key, [&](Group& group) {
        if (group.hits.empty()) touched.push_back(&group);
        group.hits.emplace_back(committed.revision, &event);
      });
  bool is_someone_behind = false;
  for (Group* group : touched) {
    Shared plain, with_previous;
    for (const auto& watcher : group->watchers) {
      if (!watcher->in_step) continue;
      std::lock_guard own(watcher->mutex);
      if (watcher->closed || offer(*watcher, *group, first, last, plain, with_previous)) continue;
      watcher->delivered = std::max(watcher->delivered, published_);
      watcher->in_step = false;
      watcher->refused = true;
      behind_.push_back(watcher);
      is_someone_behind = true;
    }
    group->hits.clear();
  }
  published_ = last;
  if (is_someone_behind) wake_.notify_one();
}

namespace {

// The events after `delivered`; nothing if there is none.
std::shared_ptr<const WatchBatch> make_batch(const std::vector<std::pair<Revision, const Event*>>& hits,
                                             bool previous, Revision delivered, Revision last) {
  auto out = std::make_shared<WatchBatch>();
  out->revision = last;
  for (const auto& [revision, event] : hits) {
    if (revision <= delivered) continue;
    if (previous)
      out->events.push_back(*event);
    else
      out->events.push_back({event->type, event->kv, std::nullopt});
  }
  if (out->events.empty()) return nullptr;
  return out;
}

}  // namespace

bool WatchHub::offer(Watcher& watcher, const Group& group, Revision first, Revision last, Shared& plain,
                     Shared& with_previous) {
  const bool previous = watcher.request.previous;
  const Revision delivered = std::max(watcher.delivered, watcher.request.start_revision - 1);
  if (delivered >= first) {  // it began in the future
    const auto own = make_batch(group.hits, previous, delivered, last);
    return !own || watcher.callback(own);
  }
  Shared& shared = previous ? with_previous : plain;
  if (!shared) shared = make_batch(group.hits, previous, 0, last);
  return watcher.callback(shared);
}

void WatchHub::progress(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  std::lock_guard own(watcher->mutex);
  if (watcher->closed || !watcher->in_step) return;
  auto out = std::make_shared<WatchBatch>();
  out->revision = std::max(watcher->delivered, published_);
  watcher->callback(out);
}

std::optional<Revision> WatchHub::synced_revision(const std::vector<const Watcher*>& watchers) {
  std::lock_guard lock(mutex_);  // so nothing is being published
  for (const auto* watcher : watchers)
    if (!watcher->in_step) return std::nullopt;
  return published_;
}

void WatchHub::resume(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  std::lock_guard own(watcher->mutex);
  watcher->refused = false;
  wake_.notify_one();
}

std::shared_ptr<WatchHub::Watcher> WatchHub::next_behind() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (closed_) return nullptr;
    for (auto it = behind_.begin(); it != behind_.end(); ++it) {
      std::lock_guard own((*it)->mutex);
      if ((*it)->refused || (*it)->closed) continue;
      auto found = *it;
      behind_.splice(behind_.end(), behind_, it);  // taken in turn
      return found;
    }
    wake_.wait(lock);
  }
}

void WatchHub::settle(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  std::lock_guard own(watcher->mutex);
  if (watcher->delivered < published_ || !watcher->group) return;
  watcher->in_step = true;
  behind_.remove(watcher);
}

void WatchHub::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake_.notify_all();
}

}  // namespace rusternetes::storage::sqlite
