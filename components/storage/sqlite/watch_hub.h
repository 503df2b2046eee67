#pragma once
// Who watches what. Committed batches go from the writer straight to every watcher that is in step; one that
// has no room, or that started in the past, is behind and is served from disk by the catch-up thread until it
// is in step again.

#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace rusternetes::storage::sqlite {

class WatchHub {
  struct Group;

 public:
  struct Watcher {
    WatchRequest request;
    Store::WatchCallback callback;
    std::mutex mutex;          // held while the callback runs; guards what follows
    Revision delivered = 0;  // every event up to here has been accepted; in step, all that was published, too
    bool in_step = false;
    bool refused = false;      // waits for resume()
    bool closed = false;
    bool matches(std::string_view key) const;
    // The hub's, guarded by its mutex:
    Group* group = nullptr;
    std::size_t place = 0;  // in the group
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
  // What everybody among `watchers` has been given, if all are in step.
  std::optional<Revision> synced_revision(const std::vector<const Watcher*>& watchers);
  void resume(const std::shared_ptr<Watcher>& watcher);
  // Blocks until a watcher is behind and may be served, or the hub closes (null).
  std::shared_ptr<Watcher> next_behind();
  // After a catch-up slice: puts the watcher in step if it has everything, else it stays behind.
  void settle(const std::shared_ptr<Watcher>& watcher);
  void close();

 private:
  // Who watches the same: they share what is made of a batch.
  struct Group {
    std::string key, range_end;
    std::vector<std::shared_ptr<Watcher>> watchers;
    std::vector<std::pair<Revision, const Event*>> hits;  // of the batch being published
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using ByKey = std::unordered_map<std::string, std::unique_ptr<Group>, Hash, std::equal_to<>>;
  using Shared = std::shared_ptr<const WatchBatch>;

  std::unique_ptr<Group>& slot(const WatchRequest& request);
  void join(const std::shared_ptr<Watcher>& watcher);
  void leave(Watcher& watcher);
  void find_groups(std::string_view key, const std::function<void(Group&)>& visit);
  // False: it has no room.
  bool offer(Watcher& watcher, const Group& group, Revision first, Revision last, Shared& plain,
             Shared& with_previous);

  std::mutex mutex_;  // always taken before a watcher's own
  std::condition_variable wake_;
  // Groups by what they watch, so that an event finds them without asking each: one key, a prefix (the usual
  // range), and whatever else, which is asked.
  ByKey keys_, prefixes_;
  std::map<std::size_t, std::size_t> prefix_lengths_;  // that occur, with how many groups have them
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Group>> ranges_;
  std::list<std::shared_ptr<Watcher>> behind_;
  Revision published_ = 0;
  bool closed_ = false;
};

}  // namespace rusternetes::storage::sqlite
