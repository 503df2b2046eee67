#pragma once
// That one process has a store open: a lock on FILE.lock, which is not one of the files of SQLite, so that
// nobody who looks at those ends SQLite's own locks.

#include <string>

#include "base/status.h"

namespace rusternetes::storage::sqlite {

class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();  // lets go; the file stays
  // `path`: the store's. "InUse" if another has it.
  static Result<FileLock> take(const std::string& path);
  // Leaves no trace beside a file that turned out not to be ours.
  void remove_if_new();

 private:
  std::string path_;
  int fd_ = -1;
  bool is_new_ = false;
};

}  // namespace rusternetes::storage::sqlite
