#include "storage/sqlite/watch_hub.h"

#include <algorithm>

namespace rusternetes::storage::sqlite {

bool WatchHub::Watcher::matches(std::string_view key) const {
  if (request.range_end.empty()) return key == request.key;
  if (key < request.key) return false;
  return request.range_end == std::string_view("\0", 1) || key < request.range_end;
}

std::shared_ptr<WatchHub::Watcher> WatchHub::add(WatchRequest request, Store::WatchCallback callback,
                                                 Revision delivered) {
  auto watcher = std::make_shared<Watcher>();
  watcher->request = std::move(request);
  watcher->callback = std::move(callback);
  std::lock_guard lock(mutex_);
  watcher->delivered = delivered < 0 ? published_ : delivered;
  watcher->in_step = watcher->delivered >= published_;
  watchers_.push_back(watcher);
  if (!watcher->in_step) wake_.notify_one();
  return watcher;
}

void WatchHub::remove(const std::shared_ptr<Watcher>& watcher) {
  {
    std::lock_guard lock(mutex_);
    watchers_.remove(watcher);
  }
  std::lock_guard own(watcher->mutex);  // no callback runs once this is ours
  watcher->closed = true;
  watcher->callback = nullptr;
}

void WatchHub::publish(std::vector<Committed> batch) {
  if (batch.empty()) return;
  std::lock_guard lock(mutex_);
  const Revision last = batch.back().revision;
  bool someone_behind = false;
  for (auto& watcher : watchers_) {
    if (!watcher->in_step) continue;
    std::lock_guard own(watcher->mutex);
    if (watcher->closed) continue;
    auto out = std::make_shared<WatchBatch>();
    for (const auto& committed : batch) {
      if (committed.revision <= watcher->delivered || committed.revision < watcher->request.start_revision) continue;
      for (const auto& event : committed.events)
        if (watcher->matches(event.kv.key)) {
          out->events.push_back(event);
          if (!watcher->request.previous) out->events.back().previous.reset();
        }
    }
    out->revision = last;
    if (out->events.empty() || watcher->callback(out)) {
      watcher->delivered = std::max(watcher->delivered, last);
    } else {
      watcher->in_step = false;
      watcher->refused = true;
      someone_behind = true;
    }
  }
  published_ = last;
  if (someone_behind) wake_.notify_one();
}

void WatchHub::progress(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  std::lock_guard own(watcher->mutex);
  if (watcher->closed || !watcher->in_step) return;
  auto out = std::make_shared<WatchBatch>();
  out->revision = std::max(watcher->delivered, published_);
  watcher->callback(out);
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
    for (auto it = watchers_.begin(); it != watchers_.end(); ++it) {
      std::lock_guard own((*it)->mutex);
      if ((*it)->in_step || (*it)->refused || (*it)->closed) continue;
      auto found = *it;
      watchers_.splice(watchers_.end(), watchers_, it);  // taken in turn
      return found;
    }
    wake_.wait(lock);
  }
}

void WatchHub::settle(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  std::lock_guard own(watcher->mutex);
  if (watcher->delivered >= published_) watcher->in_step = true;
}

void WatchHub::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake_.notify_all();
}

}  // namespace rusternetes::storage::sqlite
