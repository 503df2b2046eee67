#include "kubelet/mount_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace rusternetes::kubelet {

Result<> enter_mount_namespace(const std::string& path) {
  struct stat wanted {}, own {};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::fstat(fd, &wanted) != 0 || ::stat("/proc/self/ns/mnt", &own) != 0) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return errno_error(fmt::format("open the mount namespace {}", path), error);
  }
  const bool is_in_it = wanted.st_ino == own.st_ino && wanted.st_dev == own.st_dev;
  const int result = is_in_it ? 0 : ::setns(fd, CLONE_NEWNS);
  const int error = errno;
  ::close(fd);
  if (result != 0) return errno_error(fmt::format("enter the mount namespace {}", path), error);
  return {};
}

}  // namespace rusternetes::kubelet
