#include "state/sqlite.h"

#include <fmt/format.h>

namespace rusternetes::state {

std::string Row::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(data, size);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));
  if (code != SQLITE_OK) return database->error("open");
  // Another command may be writing at this moment; its transactions take milliseconds.
  sqlite3_busy_timeout(handle, 10'000);
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Status Database::error(std::string_view what) const {
  const std::string message = fmt::format("{}: {}: {}", path_, what, sqlite3_errmsg(handle_));
  if (sqlite3_errcode(handle_) == SQLITE_FULL) return Status(500, "NoSpace", message);
  return internal_error(message);
}

Result<> Database::run(std::string_view sql, const std::vector<Value>& values,
                       const std::function<void(const Row&)>& on_row) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) != SQLITE_OK)
    return error("prepare");
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Value& value = values[i];
    const int at = static_cast<int>(i) + 1;
    const int code = value.is_text ? sqlite3_bind_text64(raw, at, value.text.data(), value.text.size(),
                                                         SQLITE_STATIC, SQLITE_UTF8)
                                   : sqlite3_bind_int64(raw, at, value.integer);
    if (code != SQLITE_OK) return error("bind");
  }
  for (;;) {
    const int code = sqlite3_step(raw);
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return error("step");
    if (on_row) on_row(Row(raw));
  }
}

Result<> Database::script(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("script");
  return {};
}

Result<> Database::transaction(const std::function<Result<>()>& work) {
  RN_CHECK(script("BEGIN IMMEDIATE"));
  Result<> result = work();
  if (result) result = script("COMMIT");
  if (!result) (void)script("ROLLBACK");
  return result;
}

}  // namespace rusternetes::state
