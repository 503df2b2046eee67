#pragma once
// A watch as a sequence of batches: initial state, changes seen through the selectors, bookmarks. The HTTP watch and the
// in-process one read the same source.

#include <memory>
#include <vector>

#include "api-server/resources.h"

namespace rusternetes::api_server {

struct OutEvent {
  enum class Type { added, modified, removed, bookmark };
  Type type = Type::added;
  EntryPtr entry;                  // null for a bookmark
  storage::Revision revision = 0;  // of a bookmark
  bool ends_initial_events = false;
};

class WatchSource {
 public:
  // Checks the options; 410 for a revision that is gone. `call` must outlive the source.
  static Task<Result<std::unique_ptr<WatchSource>>> open(Resources& resources, Call& call);
  // At least one event, or none when `deadline` passed. 410 when this watch was too slow.
  Task<Result<std::vector<OutEvent>>> next(std::chrono::steady_clock::time_point deadline);
  bool allows_bookmarks() const { return bookmarks_; }
  // From any thread: next() gives what there is and then nothing, at once.
  void end();
  bool is_ended() const;

 private:
  WatchSource(Resources& resources, std::shared_ptr<ResourceCache> cache, asio::any_io_executor executor,
              Selection selection);
  void take_initial(Call& call, const Snapshot& snapshot);
  void push(const CacheEvent& event, std::vector<OutEvent>& out) const;

  Resources& resources_;
  std::shared_ptr<ResourceCache> cache_;
  Selection selection_;
  bool is_wanted(std::string_view key) const { return only_key_.empty() || key == only_key_; }
  std::string prefix_, only_key_;
  bool bookmarks_ = false;
  std::uint64_t place_ = 0;
  std::vector<EntryPtr> initial_;  // given in slices
  std::size_t initial_at_ = 0;
  bool owes_initial_end_ = false;
  storage::Revision initial_revision_ = 0;
  std::chrono::steady_clock::time_point next_bookmark_;
  storage::Revision bookmarked_ = 0;
  struct Wake;
  std::shared_ptr<Wake> wake_;
  std::unique_ptr<ResourceCache::Subscription> subscription_;
};

}  // namespace rusternetes::api_server
