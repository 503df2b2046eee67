#pragma once
// The file's identity and tables. A release writes what the release before it can read (design: only the release after may
// raise the format).

#include <string>

#include "base/status.h"
#include "storage/sqlite/database.h"

namespace rusternetes::storage::sqlite {

inline constexpr std::int64_t application_id = 0x52757374;  // "Rust"
inline constexpr std::int64_t format_version = 1;

enum class FileState { absent, ours };

// Looks at a file's header without opening it as a database, so that a foreign one is left as it is. The error is one
// sentence that says what the file is instead.
Result<FileState> inspect_file(const std::string& path);
// Creates the tables of an empty database.
Result<void> create_tables(Database& database);
// What every connection needs; the writer also sets the journal.
Result<void> configure(Database& database, bool is_writer);

}  // namespace rusternetes::storage::sqlite
