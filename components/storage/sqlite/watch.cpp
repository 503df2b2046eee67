// Watches: joining, and catching up from the log.

#include "base/log.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::storage::sqlite {
namespace {

class HubWatch final : public Watch {
 public:
  HubWatch(WatchHub& hub, std::shared_ptr<WatchHub::Watcher> watcher)
      : hub_(hub), watcher_(std::move(watcher)) {}
  ~HubWatch() override { hub_.remove(watcher_); }
  void request_progress() override { hub_.progress(watcher_); }
  void resume() override { hub_.resume(watcher_); }
  const WatchHub::Watcher* watcher() const { return watcher_.get(); }

 private:
  WatchHub& hub_;
  std::shared_ptr<WatchHub::Watcher> watcher_;
};

}  // namespace

Result<std::unique_ptr<Watch>> SqliteStore::watch(WatchRequest request, WatchCallback on_batch) {
  const Revision start = request.start_revision;
  if (start > 0 && start < compact_revision()) {
    Status gone{410, reason_compacted, "required revision has been compacted", nullptr};
    return gone;
  }
  auto watcher = hub_.add(std::move(request), std::move(on_batch), start > 0 ? start - 1 : -1);
  return std::unique_ptr<Watch>(std::make_unique<HubWatch>(hub_, std::move(watcher)));
}

std::optional<Revision> SqliteStore::synced_revision(const std::vector<const Watch*>& watches) {
  std::vector<const WatchHub::Watcher*> watchers;
  watchers.reserve(watches.size());
  for (const auto* watch : watches) watchers.push_back(static_cast<const HubWatch*>(watch)->watcher());
  return hub_.synced_revision(watchers);
}

void SqliteStore::catch_up_loop() {
  while (auto watcher = hub_.next_behind()) {
    auto served = catch_up(*watcher);
    if (!served) {
      auto batch = std::make_shared<WatchBatch>();
      batch->error = served.error();
      batch->compact_revision = compact_revision();
      std::lock_guard own(watcher->mutex);
      if (!watcher->closed) watcher->callback(batch);
      watcher->closed = true;
      continue;
    }
    hub_.settle(watcher);
  }
}

namespace {

// What a key was before the transaction that made `revision`: the row `id`, or one that it came from.
Result<std::optional<KeyValue>> read_previous(Statement& read, const std::string& key, Revision revision,
                                              std::int64_t id) {
  while (id != 0) {
    RN_TRY(const bool found, read.bind(1, id).step());
    if (!found) break;  // compacted
    if (revision_of(id) == revision) {
      id = read.integer(4);
      read.reset();
      continue;
    }
    KeyValue kv{key,
                std::make_shared<const std::string>(read.bytes(0)),
                read.integer(1),
                revision_of(id),
                read.integer(2),
                read.integer(3)};
    read.reset();
    return std::optional<KeyValue>(std::move(kv));
  }
  read.reset();
  return std::optional<KeyValue>{};
}

}  // namespace

// One slice: whole revisions, about a thousand changes.
Result<void> SqliteStore::catch_up(WatchHub::Watcher& watcher) {
  Revision delivered;
  bool previous;
  {
    std::lock_guard own(watcher.mutex);
    delivered = watcher.delivered;
    previous = watcher.request.previous;
  }
  if (delivered + 1 < compact_revision())
    return Status{410, reason_compacted, "required revision has been compacted"};
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto batch = std::make_shared<WatchBatch>();
  batch->revision = current_revision();
  auto filled = [&]() -> Result<void> {
    RN_TRY(auto select,
           reader->prepare("SELECT id, key, value, create_revision, version, lease, previous FROM log"
                           " WHERE id >= ? AND id < ? ORDER BY id"));
    RN_TRY(auto read,
           reader->prepare("SELECT value, create_revision, version, lease, previous FROM log WHERE id=?"));
    select.bind(1, (delivered + 1) << sub_bits).bind(2, (batch->revision + 1) << sub_bits);
    int rows = 0;
    Revision last = delivered;
    for (;;) {
      RN_TRY(const bool has_row, select.step());
      if (!has_row) break;
      const Revision revision = revision_of(select.integer(0));
      if (rows >= 1000 && revision != last) {  // the slice ends between revisions
        batch->revision = last;
        break;
      }
      ++rows;
      last = revision;
      if (!watcher.matches(select.bytes(1))) continue;
      Event event;
      const bool is_removal = select.is_null(2);
      event.type = is_removal ? Event::Type::remove : Event::Type::put;
      event.kv = {std::string(select.bytes(1)),
                  is_removal ? nullptr : std::make_shared<const std::string>(select.bytes(2)),
                  is_removal ? 0 : select.integer(3), revision, select.integer(4), select.integer(5)};
      if (previous) {
        RN_TRY(event.previous, read_previous(read, event.kv.key, revision, select.integer(6)));
      }
      batch->events.push_back(std::move(event));
    }
    select.reset();
    return {};
  }();
  give_reader(std::move(reader));
  RN_CHECK(filled);
  if (delivered + 1 < compact_revision())
    return Status{410, reason_compacted, "required revision has been compacted"};
  std::lock_guard own(watcher.mutex);
  if (watcher.closed) return {};
  if (batch->events.empty() || watcher.callback(batch))
    watcher.delivered = batch->revision;
  else
    watcher.refused = true;
  return {};
}

}  // namespace rusternetes::storage::sqlite
