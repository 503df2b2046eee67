#include "storage/sqlite/dump.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "storage/sqlite/file_lock.h"
#include "storage/sqlite/format.h"
#include "storage/sqlite/key_index.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::storage::sqlite {

Result<Dump> Dump::begin(Database& database) {
  Dump dump(database);
  RN_TRY(const auto last_id, database.query_integer("SELECT max(id) FROM log"));
  RN_TRY(const auto floor, database.query_integer("SELECT value FROM meta WHERE name='revision_floor'"));
  RN_TRY(dump.compact_revision_,
         database.query_integer("SELECT value FROM meta WHERE name='compact_revision'"));
  dump.newest_row_ = revision_of(last_id);
  dump.revision_ = std::max({Revision{1}, dump.newest_row_, floor});
  return dump;
}

Result<void> Dump::log(const std::function<Result<void>(const LogRow&)>& visit) {
  // What compaction has yet to remove: of each change since it was last done, the row that it replaced.
  std::vector<std::int64_t> replaced;
  RN_TRY(const auto done, database_->query_integer("SELECT value FROM meta WHERE name='compact_done'"));
  if (compact_revision_ > 0) {
    RN_TRY(auto select,
           database_->prepare("SELECT previous FROM log WHERE id >= ? AND id < ? AND previous != 0"));
    select.bind(1, done << sub_bits).bind(2, (compact_revision_ + 1) << sub_bits);
    for (;;) {
      RN_TRY(const bool has_row, select.step());
      if (!has_row) break;
      replaced.push_back(select.integer(0));
    }
    std::sort(replaced.begin(), replaced.end());
  }
  auto next = replaced.begin();
  RN_TRY(auto select, database_->prepare(
                          "SELECT id, key, value, create_revision, version, lease FROM log ORDER BY id"));
  for (;;) {
    RN_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    LogRow row;
    row.id = select.integer(0);
    row.is_removal = select.is_null(2);
    next = std::find_if(next, replaced.end(), [&](std::int64_t id) { return id >= row.id; });
    if (next != replaced.end() && *next == row.id) continue;
    if (row.is_removal && revision_of(row.id) < compact_revision_) continue;
    row.key = select.bytes(1);
    if (!row.is_removal) {
      row.value = select.bytes(2);
      row.create_revision = select.integer(3);
      row.version = select.integer(4);
      row.lease = select.integer(5);
    }
    RN_CHECK(visit(row));
  }
}

Result<void> Dump::leases(const std::function<Result<void>(LeaseId, std::int64_t)>& visit) {
  RN_TRY(auto select, database_->prepare("SELECT id, ttl FROM lease ORDER BY id"));
  for (;;) {
    RN_TRY(const bool has_row, select.step());
    if (!has_row) return {};
    RN_CHECK(visit(select.integer(0), select.integer(1)));
  }
}

Result<std::int64_t> Dump::setting(const std::string& name) {
  RN_TRY(auto select, database_->prepare("SELECT value FROM meta WHERE name=?"));
  RN_TRY(const bool has_row, select.bind_text(1, name).step());
  return has_row ? select.integer(0) : 0;
}

namespace {

Result<void> dump_database(Database& database, const DumpVisitor& visit) {
  RN_CHECK(database.exec("BEGIN"));
  auto visited = [&]() -> Result<void> {
    RN_TRY(auto dump, Dump::begin(database));
    return visit(dump);
  }();
  (void)database.exec("COMMIT");
  return visited;
}

}  // namespace

Result<void> SqliteStore::dump(const DumpVisitor& visit) {
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto dumped = dump_database(*reader, visit);
  give_reader(std::move(reader));
  return dumped;
}

Result<void> dump_file(const std::string& path, const DumpVisitor& visit) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT)  // before a lock would be left beside nothing
    return Status{404, "NotFound", fmt::format("there is no store {}", path)};
  RN_TRY(auto lock, FileLock::take(path));
  auto dumped = [&]() -> Result<void> {
    RN_TRY(const FileState state, inspect_file(path));
    if (state == FileState::absent) return Status{404, "NotFound", fmt::format("there is no store {}", path)};
    RN_CHECK(verify_file(path));
    // One that may write: a log that a killed process left is copied and removed when it closes.
    RN_TRY(auto database, Database::open(path, false));
    RN_CHECK(configure(database, false));
    return dump_database(database, visit);
  }();
  lock.remove_if_new();
  return dumped;
}

namespace {

class FileLoader final : public Loader {
 public:
  FileLoader(std::string path, FileLock lock)
      : path_(std::move(path)), fresh_(path_ + ".import"), lock_(std::move(lock)) {}
  ~FileLoader() override {
    if (is_finished_) return;
    insert_ = {};
    insert_lease_ = {};
    database_ = {};
    remove_fresh();
    lock_.remove_if_new();
  }

  Result<void> begin();
  Result<void> thin(const LogRow& row) override;
  Result<void> add(const LogRow& row) override;
  Result<void> add_lease(LeaseId id, std::int64_t ttl_s) override;
  Result<std::int64_t> finish(Revision revision, Revision compact_revision) override;

 private:
  void remove_fresh() {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"}) ::unlink((fresh_ + suffix).c_str());
  }
  Result<void> check(const LogRow& row, std::int64_t& last_id);
  void change_index(const LogRow& row, Revision created);
  Result<void> fill_current();
  Result<void> fill_meta(Revision revision, Revision compact_revision);

  std::string path_, fresh_;
  FileLock lock_;
  Database database_;
  Statement insert_, insert_lease_;
  KeyIndex index_;
  std::int64_t last_id_ = 0, thinned_to_ = 0;  // ids
  bool is_finished_ = false;
};

Result<void> FileLoader::begin() {
  remove_fresh();  // of an attempt that was cut off
  RN_CHECK(create_file(fresh_));
  RN_TRY(database_, Database::open(fresh_, false));
  // Until it has its name nobody minds if it is lost: no journal, and one sync at the end.
  RN_CHECK(database_.exec("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768;"
                          "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE"));
  RN_TRY(insert_,
         database_.prepare("INSERT INTO log(id, key, value, create_revision, version, lease, previous)"
                           " VALUES(?,?,?,?,?,?,?)"));
  RN_TRY(insert_lease_, database_.prepare("INSERT INTO lease(id, ttl) VALUES(?,?)"));
  return {};
}

Result<void> FileLoader::check(const LogRow& row, std::int64_t& last_id) {
  if (row.id <= last_id || row.version < 0 || row.version > std::numeric_limits<std::int32_t>::max())
    return Status{400, "Damaged",
                  fmt::format("row {} of the log is out of order or has no possible version", row.id)};
  last_id = row.id;
  return {};
}

void FileLoader::change_index(const LogRow& row, Revision created) {
  if (row.is_removal)
    index_.erase(row.key);
  else
    index_.put(row.key, {row.id, created, static_cast<std::int32_t>(row.version), row.lease != 0});
}

Result<void> FileLoader::thin(const LogRow& row) {
  RN_CHECK(check(row, thinned_to_));
  change_index(row, row.create_revision);
  return {};
}

Result<void> FileLoader::add(const LogRow& row) {
  RN_CHECK(check(row, last_id_));
  const bool is_thinned = row.id <= thinned_to_;
  const IndexEntry* before = is_thinned && row.is_removal ? nullptr : index_.find(row.key);
  if (is_thinned && !row.is_removal) {
    if (!before || before->log_id != row.id) return {};
    before = nullptr;  // it is the row itself
  }
  // A removal's own creation revision is what the removed had; nobody reads it if that is gone.
  const Revision created = !row.is_removal ? row.create_revision
                           : before        ? before->create_revision
                                           : revision_of(row.id);
  insert_.bind(1, row.id).bind(2, row.key);
  row.is_removal ? insert_.bind_null(3) : insert_.bind(3, row.value);
  insert_.bind(4, created).bind(5, row.is_removal ? 0 : row.version).bind(6, row.is_removal ? 0 : row.lease);
  RN_CHECK(insert_.bind(7, before ? before->log_id : 0).run());
  if (!is_thinned) change_index(row, created);
  return {};
}

Result<void> FileLoader::add_lease(LeaseId id, std::int64_t ttl_s) {
  return insert_lease_.bind(1, id).bind(2, ttl_s).run();
}

// In key order, so that the tree grows at its end.
Result<void> FileLoader::fill_current() {
  RN_TRY(auto insert, database_.prepare(
                          "INSERT INTO current(key, id, create_revision, version, lease) VALUES(?,?,?,?,?)"));
  RN_TRY(auto select, database_.prepare("SELECT lease FROM log WHERE id=?"));
  Result<void> filled;
  index_.visit({}, {}, [&](std::string_view key, const IndexEntry& entry) {
    filled = [&]() -> Result<void> {
      LeaseId lease = 0;
      if (entry.has_lease) {
        RN_TRY(const bool has_row, select.bind(1, entry.log_id).step());
        if (has_row) lease = select.integer(0);
        select.reset();
      }
      return insert.bind(1, key).bind(2, entry.log_id).bind(3, entry.create_revision)
          .bind(4, std::int64_t{entry.version}).bind(5, lease).run();
    }();
    return filled.has_value();
  });
  return filled;
}

Result<void> FileLoader::fill_meta(Revision revision, Revision compact_revision) {
  RN_TRY(auto insert, database_.prepare("INSERT INTO meta(name, value) VALUES(?,?)"));
  RN_CHECK(insert.bind_text(1, "revision_floor").bind(2, revision).run());
  if (compact_revision <= 0) return {};
  RN_CHECK(insert.bind_text(1, "compact_revision").bind(2, compact_revision).run());
  return insert.bind_text(1, "compact_done").bind(2, compact_revision).run();
}

Result<std::int64_t> FileLoader::finish(Revision revision, Revision compact_revision) {
  RN_CHECK(fill_current());
  RN_CHECK(fill_meta(revision, compact_revision));
  insert_ = {};
  insert_lease_ = {};
  RN_CHECK(database_.exec("COMMIT; PRAGMA locking_mode=NORMAL; PRAGMA journal_mode=WAL"));
  database_ = {};
  RN_CHECK(sync_file(fresh_));
  if (::rename(fresh_.c_str(), path_.c_str()) != 0)
    return errno_error(fmt::format("cannot name the store {}", path_), errno);
  is_finished_ = true;
  RN_CHECK(sync_folder_of(path_));
  return static_cast<std::int64_t>(index_.size());
}

}  // namespace

Result<std::unique_ptr<Loader>> Loader::create(const std::string& path) {
  RN_TRY(auto lock, FileLock::take(path));
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    lock.remove_if_new();
    return Status{409, "AlreadyExists",
                  fmt::format("{} exists already: choose another folder, or move it away", path)};
  }
  auto refused = inspect_file(path);  // a log without its file
  if (!refused) {
    lock.remove_if_new();
    return refused.error();
  }
  auto loader = std::make_unique<FileLoader>(path, std::move(lock));
  RN_CHECK(loader->begin());
  return std::unique_ptr<Loader>(std::move(loader));
}

}  // namespace rusternetes::storage::sqlite
