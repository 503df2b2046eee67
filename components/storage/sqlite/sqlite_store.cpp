#include "storage/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "storage/sqlite/format.h"
#include "storage/sqlite/format_steps.h"
#include "storage/sqlite/writer.h"

namespace rusternetes::storage::sqlite {

SqliteStore::SqliteStore(StoreOptions options) : options_(std::move(options)) {}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(StoreOptions options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(options)));
  RN_CHECK(store->open_file());
  RN_CHECK(store->load());
  auto* raw = store.get();
  auto named = [](const char* name, auto body) {
    return std::thread([name, body] {
      ::pthread_setname_np(::pthread_self(), name);
      body();
    });
  };
  store->writer_thread_ = named("store-writer", [raw] { raw->writer_loop(); });
  store->lease_thread_ = named("store-leases", [raw] { raw->lease_loop(); });
  store->catch_up_thread_ = named("store-catchup", [raw] { raw->catch_up_loop(); });
  return store;
}

SqliteStore::~SqliteStore() {
  {
    std::scoped_lock lock(queue_mutex_, leases_mutex_);
    stopping_ = true;
  }
  queue_wake_.notify_all();
  leases_wake_.notify_all();
  hub_.close();
  if (writer_thread_.joinable()) writer_thread_.join();
  if (lease_thread_.joinable()) lease_thread_.join();
  if (catch_up_thread_.joinable()) catch_up_thread_.join();
  finish_compaction_waits();
  if (has_failed_checkpoint_)
    writer_database_.keep_wal_on_close();  // as `reopen`; whoever opens it next copies it whole
}

Result<void> SqliteStore::open_file() {
  // Before anything else: a look at the file opens and closes it, which would end the locks of SQLite in this
  // process.
  RN_TRY(lock_, FileLock::take(options_.path));
  auto opened = [&]() -> Result<void> {
    RN_TRY(const FileState state, inspect_file(options_.path));
    if (state == FileState::absent)
      RN_CHECK(create_file(options_.path, options_.vfs));
    else
      RN_CHECK(verify_file(options_.path, options_.vfs));
    ::chmod(options_.path.c_str(), 0600);  // it holds Secrets; what SQLite puts beside it gets the same mode
    return open_writer();
  }();
  if (!opened) lock_.remove_if_new();
  return opened;
}

Result<void> SqliteStore::open_writer() {
  RN_TRY(writer_database_, Database::open(options_.path, false, options_.vfs));
  RN_CHECK(configure(writer_database_, true));
  RN_CHECK(take_format_steps(writer_database_));
  wal_frames_ = 0;
  writer_database_.count_wal_frames(wal_frames_);
  return {};
}

void SqliteStore::checkpoint() {
  if (wal_frames_ < options_.checkpoint_pages) return;
  auto done = writer_database_.checkpoint();
  if (done) return;
  has_failed_checkpoint_ = true;
  log::warn("store", "the log of writes cannot be copied into the file, and stays: {}", done.error().message);
}

// A checkpoint that readers cut short counts its pages as copied without a sync; the one that completes it
// syncs them all. If that sync fails, the system may have dropped any of those pages, and they would not be
// copied again. So the connections are closed and opened, which has SQLite read the log anew and begin it
// from its first page. Only after a commit: that has overwritten what a failed commit may have left behind
// the log's end, which would be read, too.
void SqliteStore::reopen() {
  std::unique_lock lock(readers_mutex_);
  is_reopening_ = true;
  readers_wake_.wait(lock, [&] { return readers_out_ == 0; });
  readers_.clear();
  writer_.reset();
  writer_database_.keep_wal_on_close();
  auto opened = [&]() -> Result<void> {
    writer_database_ = {};
    RN_CHECK(open_writer());
    writer_ = std::make_unique<Writer>(*this);
    return writer_->prepare();
  }();
  if (opened)
    has_failed_checkpoint_ = false;
  else
    log::error("store", "the file cannot be opened again: {}", opened.error().message);
  is_reopening_ = false;
  readers_wake_.notify_all();
}

Result<void> SqliteStore::load() {
  RN_TRY(const auto last_id, writer_database_.query_integer("SELECT max(id) FROM log"));
  RN_TRY(const auto floor,
         writer_database_.query_integer("SELECT value FROM meta WHERE name='revision_floor'"));
  RN_TRY(const auto compacted,
         writer_database_.query_integer(
             "SELECT coalesce((SELECT value FROM meta WHERE name='compact_revision'), -1)"));
  revision_ = std::max({Revision{1}, revision_of(last_id), floor});
  compact_revision_ = compacted;
  hub_.set_start(revision_);

  RN_TRY(auto leases, writer_database_.prepare("SELECT id, ttl FROM lease"));
  for (;;) {
    RN_TRY(const bool has_row, leases.step());
    if (!has_row) break;
    auto& lease = leases_[leases.integer(0)];
    lease.ttl_s = leases.integer(1);
    lease.expires =
        options_.clock->steady_now() + std::chrono::seconds(lease.ttl_s);  // as etcd: anew after a restart
  }
  RN_TRY(auto keys, writer_database_.prepare(
                        "SELECT key, id, create_revision, version, lease FROM current ORDER BY key"));
  for (;;) {
    RN_TRY(const bool has_row, keys.step());
    if (!has_row) break;
    const auto lease = keys.integer(4);
    index_.put(keys.bytes(0),
               {keys.integer(1), keys.integer(2), static_cast<std::int32_t>(keys.integer(3)), lease != 0});
    if (auto it = leases_.find(lease); lease && it != leases_.end()) it->second.keys.emplace(keys.bytes(0));
  }
  writer_ = std::make_unique<Writer>(*this);
  return writer_->prepare();
}

bool SqliteStore::enqueue(Job job) {
  bool is_closing = false;
  {
    std::lock_guard lock(queue_mutex_);
    is_closing = stopping_;
    if (!is_closing && queue_.size() < options_.max_queue) {
      queue_.push_back(std::move(job));
      queue_wake_.notify_one();
      return true;
    }
  }
  job.finish(is_closing ? Status{503, "Closed", "the store is closing"}
                       : Status{429, "TooManyRequests", "too many writes are waiting for the store"});
  return false;
}

void SqliteStore::writer_loop() {
  std::vector<Job> batch;
  std::unique_lock lock(queue_mutex_);
  for (;;) {
    if (queue_.empty() && has_rest_ && !stopping_) {
      lock.unlock();
      auto more = writer_ ? writer_->compact_slice(512) : false;
      if (!more) log::warn("store", "compaction waits: {}", more.error().message);
      if (!has_failed_checkpoint_) checkpoint();
      lock.lock();
      has_rest_ = more && *more;
      if (more && !has_rest_) {
        lock.unlock();
        finish_compaction_waits();
        lock.lock();
      }
      continue;
    }
    queue_wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    if (queue_.front().alone) {
      Job job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!writer_) reopen();
      job.alone();
      lock.lock();
      continue;
    }
    while (!queue_.empty() && batch.size() < options_.max_batch && !queue_.front().alone) {
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    lock.unlock();
    const std::size_t done = run_batch(batch);
    lock.lock();
    for (std::size_t i = batch.size(); i > done; --i) queue_.push_front(std::move(batch[i - 1]));
    batch.clear();
  }
}

// Returns how many of the jobs are done with, at least one.
std::size_t SqliteStore::run_batch(std::vector<Job>& batch) {
  if (!writer_) reopen();
  Result<void> outcome =
      writer_ ? writer_->begin() : internal_error("the store's file cannot be opened again");
  std::size_t done = batch.size();
  if (outcome) {
    for (std::size_t i = 0; i < done; ++i) {
      batch[i].apply(*writer_);
      if (writer_->take_postponed() && i > 0) done = i;
    }
    outcome = writer_->commit();
  }
  const bool is_committed = outcome.has_value();
  if (is_committed)
    writer_->publish();
  else if (writer_)
    writer_->roll_back();
  for (std::size_t i = 0; i < done; ++i) batch[i].finish(outcome);
  if (is_committed) has_failed_checkpoint_ ? reopen() : checkpoint();
  std::lock_guard lock(queue_mutex_);
  has_rest_ = is_committed && compact_revision() > 0;
  return done;
}

void SqliteStore::finish_compaction_waits() {
  std::vector<std::function<void()>> waits;
  {
    std::lock_guard lock(queue_mutex_);
    waits.swap(compaction_waits_);
  }
  for (auto& wait : waits) wait();
}

void SqliteStore::when_compacted(std::function<void()> done) {
  {
    std::lock_guard lock(queue_mutex_);
    if (has_rest_ && !stopping_) {
      compaction_waits_.push_back(std::move(done));
      return;
    }
  }
  done();
}

void SqliteStore::defragment(std::function<void(Result<void>)> done) {
  auto shared_done = std::make_shared<std::function<void(Result<void>)>>(std::move(done));
  auto run = [this]() -> Result<void> {
    if (!writer_) return internal_error("the store's file cannot be opened again");
    RN_CHECK(writer_database_.exec("PRAGMA incremental_vacuum"));
    auto emptied = writer_database_.empty_log();
    if (!emptied) has_failed_checkpoint_ = true;
    return emptied;
  };
  Job job{[](Writer&) {}, [shared_done](const Result<void>& refused) { (*shared_done)(refused); },
          [run, shared_done] { (*shared_done)(run()); }};
  enqueue(std::move(job));
}

Result<std::int64_t> SqliteStore::used_bytes() {
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto pages = [&]() -> Result<std::int64_t> {
    RN_TRY(const auto all, reader->query_integer("PRAGMA page_count"));
    RN_TRY(const auto free, reader->query_integer("PRAGMA freelist_count"));
    RN_TRY(const auto size, reader->query_integer("PRAGMA page_size"));
    return (all - free) * size;
  }();
  give_reader(std::move(reader));
  return pages;
}

Result<std::int64_t> SqliteStore::setting(const std::string& name) {
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto value = [&]() -> Result<std::int64_t> {
    RN_TRY(auto select, reader->prepare("SELECT value FROM meta WHERE name=?"));
    RN_TRY(const bool has_row, select.bind_text(1, name).step());
    return has_row ? select.integer(0) : 0;
  }();
  give_reader(std::move(reader));
  return value;
}

void SqliteStore::set_setting(const std::string& name, std::int64_t value,
                              std::function<void(Result<void>)> done) {
  auto result = std::make_shared<Result<void>>();
  auto shared_done = std::make_shared<std::function<void(Result<void>)>>(std::move(done));
  enqueue({[name, value, result](Writer& writer) { *result = writer.put_setting(name, value); },
           [result, shared_done](const Result<void>& committed) {
             (*shared_done)(committed ? *result : committed);
           }});
}

void SqliteStore::txn(TxnRequest request, TxnCallback done) {
  struct Shared {
    TxnRequest request;
    TxnCallback done;
    Result<TxnResponse> result = Status{};
  };
  auto shared = std::make_shared<Shared>(Shared{std::move(request), std::move(done), Status{}});
  enqueue({[shared](Writer& writer) { shared->result = writer.run(shared->request); },
           [shared](const Result<void>& committed) {
             if (!committed)
               shared->done(committed.error());
             else
               shared->done(std::move(shared->result));
           }});
}

void SqliteStore::compact(Revision revision, std::function<void(Result<void>)> done) {
  auto result = std::make_shared<Result<void>>();
  auto shared_done = std::make_shared<std::function<void(Result<void>)>>(std::move(done));
  enqueue({[this, revision, result](Writer& writer) {
             if (revision > current_revision())
               *result = Status{400, reason_future_revision, "required revision is a future revision"};
             else
               *result = writer.compact_to(revision);
           },
           [this, revision, result, shared_done](const Result<void>& committed) {
             if (!committed) return (*shared_done)(committed.error());
             if (*result) {
               compact_revision_.store(std::max(revision, compact_revision()), std::memory_order_release);
               std::lock_guard lock(queue_mutex_);
               has_rest_ = true;
             }
             (*shared_done)(*result);
           }});
}

std::int64_t SqliteStore::size_bytes() const {
  std::int64_t total = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat info {};
    if (::stat((options_.path + suffix).c_str(), &info) == 0) total += info.st_size;
  }
  return total;
}

std::size_t SqliteStore::key_count() const {
  std::shared_lock lock(index_mutex_);
  return index_.size();
}

std::size_t SqliteStore::index_bytes() const {
  std::shared_lock lock(index_mutex_);
  return index_.memory_bytes();
}

Result<Revision> SqliteStore::copy_to(const std::string& path) {
  // SQLite fills an empty file, but makes one that everybody can read.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(fmt::format("cannot make {}", path), errno);
  ::close(fd);
  // The copy's own tables say its revision: whatever is committed when VACUUM starts, as one snapshot.
  Status error;
  auto reader = take_reader(error);
  auto copied = [&]() -> Result<void> {
    if (!reader) return error;
    RN_TRY(auto vacuum, reader->prepare("VACUUM INTO ?"));
    return vacuum.bind_text(1, path).run();
  }();
  if (reader) give_reader(std::move(reader));
  if (!copied) {
    ::unlink(path.c_str());
    return copied.error();
  }
  RN_TRY(auto copy, Database::open(path, false));
  RN_TRY(const auto last_id, copy.query_integer("SELECT max(id) FROM log"));
  RN_TRY(const auto floor, copy.query_integer("SELECT value FROM meta WHERE name='revision_floor'"));
  return std::max({Revision{1}, revision_of(last_id), floor});
}

Result<Revision> raise_revision(const std::string& path, Revision by) {
  RN_TRY(const auto lock, FileLock::take(path));
  RN_TRY(const FileState state, inspect_file(path));
  if (state == FileState::absent) return Status{404, "NotFound", fmt::format("there is no store {}", path)};
  RN_CHECK(verify_file(path));
  RN_TRY(auto database, Database::open(path, false));
  RN_TRY(const auto last_id, database.query_integer("SELECT max(id) FROM log"));
  RN_TRY(const auto floor, database.query_integer("SELECT value FROM meta WHERE name='revision_floor'"));
  const Revision raised = std::max({Revision{1}, revision_of(last_id), floor}) + by;
  RN_CHECK(
      database.exec(fmt::format("BEGIN IMMEDIATE; INSERT OR REPLACE INTO meta VALUES('revision_floor',{0});"
                                "INSERT OR REPLACE INTO meta VALUES('compact_revision',{0}); COMMIT;",
                                raised)
                        .c_str()));
  return raised;
}

}  // namespace rusternetes::storage::sqlite
