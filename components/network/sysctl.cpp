#include "network/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace rusternetes::network {

namespace {
Result<std::string> path_of(std::string_view key) {
  // A key that comes from a Pod's spec must not climb out of /proc/sys.
  if (key.empty() || key.front() == '/' || key.find("..") != std::string_view::npos ||
      key.find('\0') != std::string_view::npos)
    return Status{400, "BadRequest", fmt::format("\"{}\" is not a sysctl", key)};
  return fmt::format("/proc/sys/{}", key);
}
}  // namespace

Result<std::string> read_sysctl(std::string_view key) {
  RN_TRY(const std::string path, path_of(key));
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error(fmt::format("read sysctl {}", key), errno);
  char buffer[4096];
  const ssize_t size = read(fd, buffer, sizeof buffer);
  const int error = errno;
  close(fd);
  if (size < 0) return errno_error(fmt::format("read sysctl {}", key), error);
  std::string value(buffer, static_cast<std::size_t>(size));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  std::ranges::replace(value, '\t', ' ');
  return value;
}

Result<std::string> write_sysctl(std::string_view key, std::string_view value) {
  RN_TRY(std::string before, read_sysctl(key));
  if (before == value) return before;
  const std::string what = fmt::format("set sysctl {} to {}", key, value);
  RN_TRY(const std::string path, path_of(key));
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno_error(what, errno);
  const ssize_t written = write(fd, value.data(), value.size());
  const int error = errno;
  close(fd);
  if (written != static_cast<ssize_t>(value.size())) return errno_error(what, written < 0 ? error : EIO);
  return before;
}

Result<> write_sysctls(std::initializer_list<std::pair<std::string, std::string>> values) {
  for (const auto& [key, value] : values) RN_CHECK(write_sysctl(key, value));
  return {};
}

}  // namespace rusternetes::network
