#pragma once
// SQLite's handles with owners and Status. One connection is used by one thread at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace rusternetes::storage::sqlite {

class Statement {
 public:
  Statement() = default;
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Parameters from 1. Bytes must live until the next reset().
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view bytes);
  Statement& bind_text(int index, std::string_view text);
  Statement& bind_null(int index);
  // True: a row is there. False: done.
  Result<bool> step();
  // Runs to the end, and resets.
  Result<void> run();
  void reset();
  std::int64_t integer(int column) const;
  std::string_view bytes(int column) const;  // until the next step
  bool is_null(int column) const;

 private:
  friend class Database;
  sqlite3_stmt* handle_ = nullptr;
};

class Database {
 public:
  Database() = default;
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();
  // `vfs` empty: the default one.
  static Result<Database> open(const std::string& path, bool read_only, const std::string& vfs = {});
  Result<void> exec(const char* sql);
  Result<Statement> prepare(const char* sql);
  Result<std::int64_t> query_integer(const char* sql);
  // SQLite ends a transaction by itself when it cannot go on (disk full, I/O error).
  bool is_in_transaction() const;
  sqlite3* handle() { return handle_; }

  // From now on the caller checkpoints, and `frames` always says how long the write-ahead log is; it outlives
  // the connection.
  void count_wal_frames(int& frames);
  // Copies the log into the file as far as readers let it.
  Result<void> checkpoint();
  // The same, and the log becomes empty: waits for readers.
  Result<void> empty_log();
  // Closing the last connection leaves the log as it is, instead of copying and removing it.
  void keep_wal_on_close();

 private:
  sqlite3* handle_ = nullptr;
};

// SQLite's last error on the connection: NoSpace for a full disk, "Damaged" for corruption, else
// InternalError.
Status database_error(sqlite3* handle, int code);

}  // namespace rusternetes::storage::sqlite
