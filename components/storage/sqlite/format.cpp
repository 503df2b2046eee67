#include "storage/sqlite/format.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/sync.h"

namespace rusternetes::storage::sqlite {
namespace {

constexpr const char* advice =
    "; it was left untouched: restore a copy of it, or move it away to start with an empty store";

Status damaged(const std::string& path, std::string_view how) {
  return Status{400, "NotAStore", fmt::format("the store {} is damaged ({}){}", path, how, advice)};
}

Status foreign(const std::string& path, std::string_view what) {
  return Status{
      400, "NotAStore",
      fmt::format(
          "{} is no store of ours but {}; it was left untouched: choose another folder for the store, "
          "or move the file away",
          path, what)};
}

Status newer(const std::string& path, std::int64_t version) {
  return Status{
      400, "NotAStore",
      fmt::format(
          "the store {} was written by a newer release (format {}, this one reads up to {}); it was left "
          "untouched: start that release or a later one",
          path, version, format_version)};
}

std::int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_size : -1;
}

// The header's fields as https://www.sqlite.org/fileformat2.html has them, of a file that create_file made. A
// log beside the file may hold a newer first page and more pages, so then the length says nothing.
Status check_header(const std::string& path, const unsigned char* header, std::int64_t size, bool has_log) {
  auto number = [&](int at) {
    return std::int64_t{header[at]} << 24 | header[at + 1] << 16 | header[at + 2] << 8 | header[at + 3];
  };
  if (number(68) != application_id)
    return foreign(path, "a SQLite database of another program (its application id differs)");
  if (number(60) > format_version) return newer(path, number(60));
  const std::int64_t page = header[16] << 8 | header[17];
  const bool is_plain = page == 4096 && (header[18] == 1 || header[18] == 2) && header[18] == header[19] &&
                        header[20] == 0 && header[21] == 64 && header[22] == 32 && header[23] == 32 &&
                        number(44) == 4 && number(56) == 1 && number(60) == format_version &&
                        number(64) == 1 && number(52) > 0 &&
                        std::all_of(header + 72, header + 92, [](unsigned char c) { return c == 0; });
  if (!is_plain) return damaged(path, "its header is not one that was written by us");
  // Newer files have both; then the number of pages is in the header.
  if (!has_log && number(24) == number(92) && number(28) * page != size)
    return damaged(path, fmt::format("{} bytes long instead of {}", size, number(28) * page));
  return {200, "", ""};
}

}  // namespace

Result<FileState> inspect_file(const std::string& path) {
  const bool has_log = size_of(path + "-wal") > 0 || size_of(path + "-journal") > 0;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno != ENOENT) return errno_error(fmt::format("cannot open the store {}", path), errno);
    // SQLite would take the log for the new file's.
    if (has_log)
      return Status{
          400, "NotAStore",
          fmt::format(
              "the store {0} is missing but its log, {0}-wal or {0}-journal, is there: put the file back, or "
              "move the log away to start with an empty store",
              path)};
    return FileState::absent;
  }
  struct stat info {};
  unsigned char header[100];
  const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const ssize_t got = is_file ? ::pread(fd, header, sizeof header, 0) : 0;
  const int read_error = errno;
  ::close(fd);
  if (!is_file) return foreign(path, "not even a file");
  if (got < 0) return errno_error(fmt::format("cannot read the store {}", path), read_error);
  if (got == 0) return damaged(path, "it is empty");
  if (std::memcmp(header, "SQLite format 3", std::min<std::size_t>(16, static_cast<std::size_t>(got))) != 0)
    return foreign(path, "no SQLite database, or one whose first page is damaged");
  if (got < 100) return damaged(path, "cut off in its header");
  if (auto refused = check_header(path, header, info.st_size, has_log); refused.code != 200) return refused;
  return FileState::ours;
}

Result<void> verify_file(const std::string& path, const std::string& vfs) {
  const std::string log = path + "-wal", index = path + "-shm";
  const bool had_log = size_of(log) >= 0, had_index = size_of(index) >= 0;
  auto checked = [&]() -> Result<void> {
    // Half a switch to the log of writes, of a copy that was just opened, has to be undone first, by writing.
    RN_TRY(auto database, Database::open(path, size_of(path + "-journal") <= 0, vfs));
    RN_CHECK(database.exec("PRAGMA cache_size=-2048; PRAGMA cell_size_check=ON"));
    // The log may hold a newer first page than the file.
    RN_TRY(const auto id, database.query_integer("PRAGMA application_id"));
    RN_TRY(const auto version, database.query_integer("PRAGMA user_version"));
    if (id != application_id) return damaged(path, "its application id is another one in the log");
    if (version > format_version) return newer(path, version);
    RN_TRY(auto check, database.prepare("PRAGMA quick_check(1)"));
    RN_TRY(const bool has_row, check.step());
    std::string found(has_row ? check.bytes(0) : std::string_view("nothing to check"));
    std::replace(found.begin(), found.end(), '\n', ' ');
    if (found != "ok") return damaged(path, found);
    RN_TRY(const auto tables,
           database.query_integer("SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN "
                                  "('log','current','lease','meta')"));
    if (tables != 4) return damaged(path, "tables are missing");
    return {};
  }();
  if (checked) return checked;
  if (!had_log) ::unlink(log.c_str());
  if (!had_index) ::unlink(index.c_str());
  if (checked.error().is("Damaged")) return damaged(path, checked.error().message);
  return checked;
}

namespace {

Result<void> create_tables(const std::string& fresh, const std::string& vfs) {
  RN_TRY(auto database, Database::open(fresh, false, vfs));
  ::chmod(fresh.c_str(), 0600);
  RN_CHECK(
      database.exec("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=DELETE;"
                    "PRAGMA synchronous=FULL; BEGIN IMMEDIATE;"
                    "CREATE TABLE log(id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB,"
                    " create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL,"
                    " previous INTEGER NOT NULL);"
                    "CREATE TABLE current(key BLOB PRIMARY KEY, id INTEGER NOT NULL,"
                    " create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL)"
                    " WITHOUT ROWID;"
                    "CREATE TABLE lease(id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL);"
                    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"));
  // The journal's mode is part of the file: set here, it need not be changed under the file's own name.
  return database.exec(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT; PRAGMA journal_mode=WAL;",
                  application_id, format_version)
          .c_str());
}

}  // namespace

Result<void> create_file(const std::string& path, const std::string& vfs) {
  const std::string fresh = path + ".new";
  auto remove = [&] {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"}) ::unlink((fresh + suffix).c_str());
  };
  remove();  // of an attempt that was cut off
  if (auto created = create_tables(fresh, vfs); !created) {
    remove();
    return created;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return errno_error(fmt::format("cannot name the store {}", path), errno);
  return sync_folder_of(path);
}

Result<void> configure(Database& database, bool is_writer) {
  if (is_writer)
    RN_CHECK(database.exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;"
        "PRAGMA wal_autocheckpoint=0;"));
  return database.exec("PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;");
}

}  // namespace rusternetes::storage::sqlite
