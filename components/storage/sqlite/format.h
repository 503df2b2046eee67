#pragma once
// The file's identity, soundness and tables. A release writes what the release before it can read (design:
// only the release after may raise the format). A file that is not ours to write is refused before anything
// writes to it; the errors are one sentence that says what the file is and what to do.

#include <string>

#include "base/status.h"
#include "storage/sqlite/database.h"

namespace rusternetes::storage::sqlite {

inline constexpr std::int64_t application_id = 0x52757374;  // "Rust"
inline constexpr std::int64_t format_version = 1;

enum class FileState { absent, ours };

// Looks at a file's header and length without opening it as a database, so that a foreign one is left as it
// is. No connection of this process may be open on it.
Result<FileState> inspect_file(const std::string& path);
// Reads the whole file (a gigabyte in about half a second, if it is cached) through a connection that cannot
// write, and leaves nothing beside it when it is refused. Nobody else may have it open.
Result<void> verify_file(const std::string& path, const std::string& vfs = {});
// Makes an empty store. It gets its name only when all of it is on disk.
Result<void> create_file(const std::string& path, const std::string& vfs = {});
// What every connection needs; the writer also sets the journal.
Result<void> configure(Database& database, bool is_writer);

}  // namespace rusternetes::storage::sqlite
