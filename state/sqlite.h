#pragma once
// The few SQLite calls that state/ needs, with errors as Status. One connection belongs to one thread.

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::state {

class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::string text(int column) const;
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_;
};

// A value bound to a `?`.
struct Value {
  Value(std::string_view text) : text(text), is_text(true) {}    // NOLINT: meant to be implicit
  Value(const std::string& text) : text(text), is_text(true) {}  // NOLINT
  Value(const char* text) : text(text), is_text(true) {}         // NOLINT
  Value(std::int64_t integer) : integer(integer) {}              // NOLINT
  Value(int integer) : integer(integer) {}                       // NOLINT
  std::string_view text;
  std::int64_t integer = 0;
  bool is_text = false;
};

class Database {
 public:
  // `flags` as for sqlite3_open_v2.
  static Result<std::unique_ptr<Database>> open(const std::string& path, int flags);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<> run(std::string_view sql, const std::vector<Value>& values = {},
               const std::function<void(const Row&)>& on_row = {});
  Result<> script(const char* sql);
  // Runs `work` in one transaction that takes the write lock at once; its failure rolls back.
  Result<> transaction(const std::function<Result<>()>& work);
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle_); }

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  Status error(std::string_view what) const;
  sqlite3* handle_;
  std::string path_;
};

}  // namespace rusternetes::state
