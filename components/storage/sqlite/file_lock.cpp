#include "storage/sqlite/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace rusternetes::storage::sqlite {

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), is_new_(other.is_new_) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(is_new_, other.is_new_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<FileLock> FileLock::take(const std::string& path) {
  // Again if the file was removed between opening and locking it: the lock of a file without a name keeps
  // nobody out.
  for (;;) {
    FileLock lock;
    lock.path_ = path + ".lock";
    struct stat named {
    }, held{};
    lock.is_new_ = ::stat(lock.path_.c_str(), &named) != 0;
    lock.fd_ = ::open(lock.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock.fd_ < 0) return errno_error(fmt::format("cannot open {}", lock.path_), errno);
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno_error(fmt::format("cannot lock {}", lock.path_), errno);
      return Status{409, "InUse", fmt::format("the store {} is in use by another process", path)};
    }
    if (::fstat(lock.fd_, &held) != 0)
      return errno_error(fmt::format("cannot look at {}", lock.path_), errno);
    if (::stat(lock.path_.c_str(), &named) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev)
      return lock;
  }
}

void FileLock::remove_if_new() {
  if (is_new_ && fd_ >= 0) ::unlink(path_.c_str());
}

}  // namespace rusternetes::storage::sqlite
