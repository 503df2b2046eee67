#include "certs/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/sync.h"

namespace rusternetes::certs {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_error("write " + path, errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<> write_synced(const std::string& path, std::string_view content, unsigned mode) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (fd.get() < 0) return errno_error("create " + path, errno);
  // The umask may have taken bits away; it never adds any.
  if (::fchmod(fd.get(), mode) != 0) return errno_error("chmod " + path, errno);
  RN_CHECK(write_all(fd.get(), content, path));
  if (::fsync(fd.get()) != 0) return errno_error("sync " + path, errno);
  return {};
}

}  // namespace

Result<> write_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  // One fixed name a target: what a killed writer left behind is replaced by the next one.
  const std::string temporary = (folder / ("." + path.filename().string() + ".new")).string();
  ::unlink(temporary.c_str());
  if (auto written = write_synced(temporary, content, mode); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return errno_error("rename " + path.string(), error);
  }
  return sync_folder_of(path);
}

Result<std::string> read_text(const std::filesystem::path& path, std::size_t limit) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 && errno == ENOENT)
    return Status(404, "NotFound", fmt::format("{} does not exist", path.string()));
  if (fd.get() < 0) return errno_error("open " + path.string(), errno);
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read " + path.string(), errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > limit)
      return internal_error(fmt::format("{} is larger than {} bytes", path.string(), limit));
  }
}

Result<> make_folder(const std::filesystem::path& path, unsigned mode) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  if (path.has_parent_path() && path.parent_path() != path) RN_CHECK(make_folder(path.parent_path(), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return errno_error("mkdir " + path.string(), errno);
  if (!std::filesystem::is_directory(path, error))
    return internal_error(fmt::format("{} is in the way: it is not a folder", path.string()));
  return {};
}

}  // namespace rusternetes::certs
