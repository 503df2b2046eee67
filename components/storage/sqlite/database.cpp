#include "storage/sqlite/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <utility>

#include "storage/store.h"

namespace rusternetes::storage::sqlite {

Status database_error(sqlite3* handle, int code) {
  const int primary = code & 0xff;
  const std::string text = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  // The connection remembers the last errno of all; it belongs to this error only if the system was what
  // failed.
  const bool is_system = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  const int system = handle && is_system ? sqlite3_system_errno(handle) : 0;
  if (primary == SQLITE_FULL || system == ENOSPC || system == EDQUOT)
    return Status{500, reason_no_space, fmt::format("the store's disk is full: {}", text)};
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
    return Status{500, "Damaged", fmt::format("the store's file is damaged: {}", text)};
  return internal_error(fmt::format("the store failed: {} ({})", text, code));
}

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}
Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_, index, value);
  return *this;
}
Statement& Statement::bind(int index, std::string_view bytes) {
  sqlite3_bind_blob64(handle_, index, bytes.data() ? bytes.data() : "", bytes.size(), SQLITE_STATIC);
  return *this;
}
Statement& Statement::bind_text(int index, std::string_view text) {
  sqlite3_bind_text64(handle_, index, text.data() ? text.data() : "", text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(handle_, index);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Status error = database_error(sqlite3_db_handle(handle_), code);
  sqlite3_reset(handle_);
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    RN_TRY(const bool has_row, step());
    if (!has_row) break;
  }
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }
std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}
bool Statement::is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

Database::Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}
Database::~Database() { sqlite3_close_v2(handle_); }

Result<Database> Database::open(const std::string& path, bool read_only, const std::string& vfs) {
  Database database;
  const int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  const int code =
      sqlite3_open_v2(path.c_str(), &database.handle_, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) return database_error(database.handle_, code);
  sqlite3_extended_result_codes(database.handle_, 1);
  sqlite3_busy_timeout(database.handle_, 10'000);
  return database;
}

Result<void> Database::exec(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return database_error(handle_, code);
  return {};
}

bool Database::is_in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

void Database::count_wal_frames(int& frames) {
  sqlite3_wal_hook(
      handle_,
      [](void* to, sqlite3*, const char*, int count) {
        *static_cast<int*>(to) = count;
        return SQLITE_OK;
      },
      &frames);
}

Result<void> Database::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return database_error(handle_, code);
  return {};
}

Result<void> Database::empty_log() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code != SQLITE_OK) return database_error(handle_, code);
  return {};
}

void Database::keep_wal_on_close() {
  if (handle_) sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

Result<Statement> Database::prepare(const char* sql) {
  Statement statement;
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement.handle_, nullptr);
  if (code != SQLITE_OK) return database_error(handle_, code);
  return statement;
}

Result<std::int64_t> Database::query_integer(const char* sql) {
  RN_TRY(Statement statement, prepare(sql));
  RN_TRY(const bool has_row, statement.step());
  return has_row ? statement.integer(0) : 0;
}

}  // namespace rusternetes::storage::sqlite
