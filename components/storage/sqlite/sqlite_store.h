#pragma once
// The Store in one SQLite file (design: log table, current table, one writer with group commit, key index in
// memory).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/file_lock.h"
#include "storage/sqlite/key_index.h"
#include "storage/sqlite/watch_hub.h"
#include "storage/store.h"

namespace rusternetes::storage::sqlite {

struct StoreOptions {
  std::string path;  // the file; its folder must exist
  std::string vfs;   // a SQLite VFS by name, for tests
  const Clock* clock = &Clock::system();
  // Pages in the write-ahead log after which they are copied into the file.
  int checkpoint_pages = 2000;
  std::size_t max_batch = 256;  // transactions a commit
  std::size_t max_queue = 50'000;
};

class SqliteStore final : public Store {
 public:
  // Opens or creates. A foreign, newer or damaged file is refused in one sentence and left as it is.
  static Result<std::unique_ptr<SqliteStore>> open(StoreOptions options);
  // Finishes what is queued.
  ~SqliteStore() override;

  Result<RangeResponse> range(const RangeRequest& request) override;
  // The same for who puts the values somewhere else: the answer has none, `show` is given each, with the
  // place of its key in the answer and the rest of it, in whatever order they lie in the file. What it is
  // given again replaces what it was given before. With keys_only it is given nothing.
  using RowVisitor = std::function<void(std::size_t place, const KeyValue& kv, std::string_view value)>;
  Result<RangeResponse> range(const RangeRequest& request, const RowVisitor& show);
  void range(RangeRequest request, RangeCallback done) override { done(range(request)); }
  void newest_revision(std::function<void(Result<Revision>)> done) override { done(current_revision()); }
  void txn(TxnRequest request, TxnCallback done) override;
  Result<std::unique_ptr<Watch>> watch(WatchRequest request, WatchCallback on_batch) override;
  bool has_other_writers() const override { return false; }
  Revision current_revision() const override { return revision_.load(std::memory_order_acquire); }
  Revision compact_revision() const override { return compact_revision_.load(std::memory_order_acquire); }
  void compact(Revision revision, std::function<void(Result<void>)> done) override;
  void lease_grant(LeaseId id, std::int64_t ttl_s, std::function<void(Result<LeaseInfo>)> done) override;
  void lease_revoke(LeaseId id, std::function<void(Result<void>)> done) override;
  void lease_keep_alive(LeaseId id, std::function<void(Result<LeaseInfo>)> done) override;
  Result<LeaseInfo> lease_time_to_live(LeaseId id, bool with_keys) override;
  Result<std::vector<LeaseId>> leases() override;
  std::int64_t size_bytes() const override;

  // A consistent copy at one revision, which is returned. `path` must not exist. Blocking; reads go on
  // meanwhile.
  Result<Revision> copy_to(const std::string& path);
  // Shows all of it at one revision (dump.h). Blocking, on the caller's thread; reads and writes go on
  // meanwhile.
  Result<void> dump(const std::function<Result<void>(class Dump&)>& visit);
  std::size_t index_bytes() const;
  std::size_t key_count() const;
  // Bytes that hold data, of those on disk.
  Result<std::int64_t> used_bytes();

  // If every one of `watches` (of this store) is in step: a revision up to which all their events were
  // delivered, in callbacks that have returned.
  std::optional<Revision> synced_revision(const std::vector<const Watch*>& watches);
  // Called once nothing of a declared compaction is left to be done.
  void when_compacted(std::function<void()> done);
  // Gives the space of what was removed back to the system. Writes wait meanwhile.
  void defragment(std::function<void(Result<void>)> done);
  // Numbers of the file's owner, which stay with it; names begin with "rhino_". 0: never set.
  Result<std::int64_t> setting(const std::string& name);
  void set_setting(const std::string& name, std::int64_t value, std::function<void(Result<void>)> done);

 private:
  friend class Writer;
  // A connection for one reader at a time, with what it asks most.
  struct Reader final : Database {
    explicit Reader(Database database) : Database(std::move(database)) {}
    Statement read, scan, begin, end;
  };
  struct Lease {
    std::int64_t ttl_s = 0;
    std::chrono::steady_clock::time_point expires;
    std::set<std::string> keys;
  };
  // A write that waits for its turn. `apply` runs inside the batch's SQL transaction; `finish` after its
  // commit, with the commit's outcome.
  struct Job {
    std::function<void(class Writer&)> apply;
    std::function<void(const Result<void>& committed)> finish;
    std::function<void()> alone =
        nullptr;  // instead of both: between batches, outside of any SQL transaction
  };

  explicit SqliteStore(StoreOptions options);
  Result<void> open_file();
  Result<void> load();
  bool enqueue(Job job);
  void writer_loop();
  std::size_t run_batch(std::vector<Job>& batch);
  void finish_compaction_waits();
  void lease_loop();
  struct Past;
  struct Excerpt;
  Result<std::unique_ptr<Reader>> open_reader();
  Result<RangeResponse> range_now(const RangeRequest& request, const RowVisitor& show, Reader& reader);
  Result<RangeResponse> range_at(const RangeRequest& request, const RowVisitor& show, Reader& reader);
  static Result<bool> read_rows(Reader& reader, const std::vector<std::int64_t>& ids, bool keys_only,
                                std::vector<KeyValue>& kvs, const RowVisitor& show);
  Excerpt excerpt(const RangeRequest& request, const Past& past, std::int64_t spare) const;
  Result<void> catch_up(WatchHub::Watcher& watcher);
  void catch_up_loop();

  Result<void> open_writer();
  void checkpoint();
  // After a checkpoint that failed, with what it leaves to be done again; see the definition.
  void reopen();

  // Connections for readers, handed out one at a time. Every one that was taken is given back, or given up.
  std::unique_ptr<Reader> take_reader(Status& error);
  void give_reader(std::unique_ptr<Reader> reader);
  void give_up_reader();

  StoreOptions options_;
  FileLock lock_;  // let go after the last connection
  Database writer_database_;
  std::unique_ptr<class Writer> writer_;
  std::atomic<Revision> revision_{1}, compact_revision_{-1};

  mutable std::shared_mutex index_mutex_;  // the writer alone changes the index
  KeyIndex index_;

  std::mutex readers_mutex_;
  std::condition_variable readers_wake_;
  std::vector<std::unique_ptr<Reader>> readers_;
  int readers_out_ = 0;
  bool is_reopening_ = false;  // no reader is handed out

  // The writer thread's:
  int wal_frames_ = 0;
  bool has_failed_checkpoint_ = false;

  std::mutex queue_mutex_;
  std::condition_variable queue_wake_;
  std::deque<Job> queue_;
  bool has_rest_ = true;  // compaction: it may have been cut off by a restart
  std::vector<std::function<void()>> compaction_waits_;
  bool stopping_ = false;

  std::mutex leases_mutex_;
  std::condition_variable leases_wake_;
  std::map<LeaseId, Lease> leases_;

  WatchHub hub_;
  std::thread writer_thread_, lease_thread_, catch_up_thread_;
};

// Offline, on a file that no process has open: raises the revision by `by` and marks everything older as
// compacted, so that every watcher lists again. What a restore does.
Result<Revision> raise_revision(const std::string& path, Revision by);

// A change's place in the log: its revision, and its number within it.
inline constexpr int sub_bits = 22;
inline Revision revision_of(std::int64_t log_id) { return log_id >> sub_bits; }

}  // namespace rusternetes::storage::sqlite
