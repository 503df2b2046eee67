#include "state/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace rusternetes::state {
namespace {

// True while `path` still names the file behind `fd`: a holder may have removed it while we waited.
bool is_current(int fd, const std::filesystem::path& path) {
  struct stat ours {
  }, named{};
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

Result<int> open_lock(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("open " + path.string(), errno);
  return fd;
}

std::string holder_of(int fd) {
  std::array<char, 64> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

void write_holder(int fd) {
  const std::string text = fmt::format("process {}", ::getpid());
  // Only for people who wait; a failed write changes nothing.
  if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, text.data(), text.size(), 0);
}

}  // namespace

Result<std::optional<HomeLock>> HomeLock::try_acquire(const std::filesystem::path& path) {
  for (;;) {
    RN_TRY(const int fd, open_lock(path));
    HomeLock lock(fd, path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<HomeLock>();
      if (errno == EINTR) continue;
      return errno_error("lock " + path.string(), errno);
    }
    if (!is_current(fd, path)) continue;
    write_holder(fd);
    return std::optional<HomeLock>(std::move(lock));
  }
}

Result<HomeLock> HomeLock::acquire(const std::filesystem::path& path,
                                   const std::function<void(const std::string& holder)>& on_wait) {
  bool is_told = false;
  for (;;) {
    RN_TRY(const int fd, open_lock(path));
    HomeLock lock(fd, path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return errno_error("lock " + path.string(), errno);
      if (!std::exchange(is_told, true) && on_wait) on_wait(holder_of(fd));
      if (::flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) return errno_error("lock " + path.string(), errno);
        return Status(499, "Interrupted", "interrupted while waiting for another command");
      }
    }
    if (!is_current(fd, path)) continue;
    write_holder(fd);
    return lock;
  }
}

HomeLock::HomeLock(HomeLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

HomeLock& HomeLock::operator=(HomeLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

HomeLock::~HomeLock() { release(); }

void HomeLock::release() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void HomeLock::remove_file() {
  if (fd_ >= 0) ::unlink(path_.c_str());
}

}  // namespace rusternetes::state
