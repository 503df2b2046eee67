#include "base/sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace rusternetes {
namespace {

Result<void> sync_path(const std::filesystem::path& path, int flags, const char* failure) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  const bool is_synced = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!is_synced) return errno_error(failure + path.string(), error);
  return {};
}

}  // namespace

Result<void> sync_file(const std::filesystem::path& path) { return sync_path(path, 0, "cannot write "); }

Result<void> sync_folder_of(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  return sync_path(folder, O_DIRECTORY, "cannot write the folder ");
}

}  // namespace rusternetes
