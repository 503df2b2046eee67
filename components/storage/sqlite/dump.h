#pragma once
// A store's whole content at one revision, row by row, and the making of a store from such rows: what files
// of other formats are written from and read into.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace rusternetes::storage::sqlite {

// One change. The views live until the next row.
struct LogRow {
  std::int64_t id = 0;  // revision << sub_bits | number within the revision
  std::string_view key;
  std::string_view value;
  bool is_removal = false;  // of a removal only id and key count
  Revision create_revision = 0;
  std::int64_t version = 0;
  LeaseId lease = 0;
};

// Reads inside one snapshot of the file; ends with the call it was handed to.
class Dump {
 public:
  // `database` is inside a read transaction.
  static Result<Dump> begin(Database& database);
  Revision revision() const { return revision_; }
  Revision compact_revision() const { return compact_revision_; }  // not positive: never compacted
  Revision newest_row() const { return newest_row_; }              // revision of the last row; 0 without any

  // Every change that a finished compaction leaves, in order: all after the compacted revision; up to it the
  // newest of each key, unless that is a removal at an earlier revision (etcd keeps the one at the compacted
  // revision itself). Whether compaction has removed the other rows yet makes no difference.
  Result<void> log(const std::function<Result<void>(const LogRow&)>& visit);
  Result<void> leases(const std::function<Result<void>(LeaseId id, std::int64_t ttl_s)>& visit);  // by id
  Result<std::int64_t> setting(const std::string& name);  // as SqliteStore::setting

 private:
  explicit Dump(Database& database) : database_(&database) {}
  Database* database_;
  Revision revision_ = 1, compact_revision_ = 0, newest_row_ = 0;
};

using DumpVisitor = std::function<Result<void>(Dump&)>;

// Of a file that no process has open ("InUse" otherwise). It is checked whole, as when it is opened;
// "NotFound" without one.
Result<void> dump_file(const std::string& path, const DumpVisitor& visit);

// Makes a store, which gets its name only when finish() has all of it on disk; until then, and when the
// loader is destroyed before, there is none.
class Loader {
 public:
  // "AlreadyExists" when there is a file of that name.
  static Result<std::unique_ptr<Loader>> create(const std::string& path);
  virtual ~Loader() = default;
  // Before all else, for rows up to the compacted revision of which not all are needed: once each in order,
  // so that it is known which of them add() has to write.
  virtual Result<void> thin(const LogRow& row) = 0;
  // In order of ids, no two alike. Of rows that thin() has seen, a put is left out unless it is the newest of
  // its key; a removal is the caller's to leave out.
  virtual Result<void> add(const LogRow& row) = 0;
  virtual Result<void> add_lease(LeaseId id, std::int64_t ttl_s) = 0;
  // `compact_revision` not positive: never compacted. Returns how many keys are live.
  virtual Result<std::int64_t> finish(Revision revision, Revision compact_revision) = 0;
};

}  // namespace rusternetes::storage::sqlite
