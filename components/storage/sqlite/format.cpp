#include "storage/sqlite/format.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace rusternetes::storage::sqlite {

Result<FileState> inspect_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return FileState::absent;
    return errno_error(fmt::format("cannot open the store {}", path), errno);
  }
  unsigned char header[100];
  const ssize_t got = ::read(fd, header, sizeof header);
  ::close(fd);
  if (got == 0) return FileState::absent;
  auto refuse = [&](std::string_view what) { return Status{400, "NotAStore", fmt::format("{} {}", path, what)}; };
  if (got < 100 || std::memcmp(header, "SQLite format 3", 16) != 0)
    return refuse("is no store of ours: it is not a SQLite database, or its first page is damaged; it was left untouched");
  auto number = [&](int at) {
    return std::int64_t{header[at]} << 24 | header[at + 1] << 16 | header[at + 2] << 8 | header[at + 3];
  };
  if (number(68) != application_id)
    return refuse("is a SQLite database of another program (application id differs); it was left untouched");
  if (number(60) > format_version)
    return refuse(fmt::format("was written by a newer release (format {}, this one reads up to {}); it was left untouched",
                              number(60), format_version));
  return FileState::ours;
}

Result<void> create_tables(Database& database) {
  // The header's fields are in the file itself before the log of writes is switched on, so that inspect_file sees them.
  RN_CHECK(database.exec("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=DELETE;"
                         "PRAGMA synchronous=FULL; BEGIN IMMEDIATE;"
                         "CREATE TABLE log(id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB,"
                         " create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL,"
                         " previous INTEGER NOT NULL);"
                         "CREATE TABLE current(key BLOB PRIMARY KEY, id INTEGER NOT NULL, create_revision INTEGER NOT NULL,"
                         " version INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;"
                         "CREATE TABLE lease(id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL);"
                         "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"));
  RN_CHECK(database.exec(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;", application_id,
                                     format_version)
                             .c_str()));
  return {};
}

Result<void> configure(Database& database, bool is_writer) {
  if (is_writer)
    RN_CHECK(database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;"
                           "PRAGMA journal_size_limit=16777216;"));
  return database.exec("PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;");
}

}  // namespace rusternetes::storage::sqlite
