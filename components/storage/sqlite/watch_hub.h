#pragma once
// Who watches what. Committed batches go from the writer straight to every watcher that is in step; one that has no room,
// or that started in the past, is behind and is served from disk by the catch-up thread until it is in step again.

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/store.h"

namespace rusternetes::storage::sqlite {

class WatchHub {
 public:
  struct Watcher {
    WatchRequest request;
    Store::WatchCallback callback;
    std::mutex mutex;          // held while the callback runs; guards what follows
    Revision delivered = 0;    // every event up to here has been accepted
    bool in_step = false;
    bool refused = false;      // waits for resume()
    bool closed = false;
    bool matches(std::string_view key) const;
  };

  // One committed revision's events, as the writer publishes them.
  struct Committed {
    Revision revision = 0;
    std::vector<Event> events;
  };

  // Adds a watcher that has seen everything up to `delivered`; in step if that is the hub's last revision.
  std::shared_ptr<Watcher> add(WatchRequest request, Store::WatchCallback callback, Revision delivered);
  void remove(const std::shared_ptr<Watcher>& watcher);
  // From the writer, in order of revisions.
  void publish(std::vector<Committed> batch);
  void set_start(Revision revision) { published_ = revision; }
  void progress(const std::shared_ptr<Watcher>& watcher);
  void resume(const std::shared_ptr<Watcher>& watcher);
  // Blocks until a watcher is behind and may be served, or the hub closes (null).
  std::shared_ptr<Watcher> next_behind();
  // After a catch-up slice: puts the watcher in step if it has everything, else it stays behind.
  void settle(const std::shared_ptr<Watcher>& watcher);
  void close();

 private:
  std::mutex mutex_;  // always taken before a watcher's own
  std::condition_variable wake_;
  std::list<std::shared_ptr<Watcher>> watchers_;
  Revision published_ = 0;
  bool closed_ = false;
};

}  // namespace rusternetes::storage::sqlite
