#include "kubelet/volumes/mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

namespace {

// Octal escapes of mountinfo: a space is \040.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

int open_beneath(int root, const char* path, std::uint64_t flags, std::uint64_t mode = 0) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

}  // namespace

std::vector<std::string> mounts_below(std::string_view mountinfo, const std::string& path) {
  std::vector<std::string> out;
  std::stringstream in{std::string(mountinfo)};
  for (std::string line; std::getline(in, line);) {
    std::stringstream words(line);
    std::string skip, point;
    for (int i = 0; i < 4; ++i) words >> skip;
    words >> point;
    point = unescape(point);
    if (point == path || point.starts_with(path + "/")) out.push_back(point);
  }
  // Later mounts cover earlier ones on the same point: undone in reverse, the deepest first.
  std::reverse(out.begin(), out.end());
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return out;
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::ifstream in("/proc/self/mountinfo");
  std::stringstream text;
  text << in.rdbuf();
  std::error_code ec;
  const auto real = fs::weakly_canonical(path, ec);
  return mounts_below(text.str(), ec ? path : real.string());
}

Result<void> ensure_tmpfs(const std::string& path, std::int64_t size_bytes, std::uint32_t mode, std::optional<std::int64_t> group) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return internal_error(fmt::format("make {}: {}", path, ec.message()));
  const auto real = fs::canonical(path, ec).string();
  for (const auto& mounted : mounts_below(path))
    if (mounted == real) return {};
  std::string options = fmt::format("mode={:o}", mode);
  if (group) options += fmt::format(",gid={}", *group);
  if (size_bytes > 0) options += fmt::format(",size={}", size_bytes);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return errno_error("mount tmpfs on " + path, errno);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  std::error_code ec;
  if (!fs::exists(fs::symlink_status(path, ec))) return {};
  for (const auto& point : mounts_below(path)) {
    // Detached at once: a container's own copy of the mount may live on for a moment.
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
      return errno_error("unmount " + point, errno);
  }
  if (const auto left = mounts_below(path); !left.empty()) return internal_error("still mounted: " + left.front());
  fs::remove_all(path, ec);
  if (ec) return internal_error(fmt::format("remove {}: {}", path, ec.message()));
  return {};
}

Result<void> bind_sub_path(const std::string& volume, const std::string& sub_path, const std::string& target) {
  Fd root(::open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return errno_error("open " + volume, errno);
  Fd source(open_beneath(root.get(), sub_path.c_str(), O_PATH));
  if (source.get() < 0 && errno == ENOENT) {
    // Made part by part, each below the volume.
    std::string at;
    for (const auto& part : fs::path(sub_path)) {
      const std::string parent = at.empty() ? "." : at;
      at = at.empty() ? part.string() : at + "/" + part.string();
      Fd folder(open_beneath(root.get(), parent.c_str(), O_PATH | O_DIRECTORY));
      if (folder.get() < 0) return errno_error(fmt::format("open {} of volume {}", parent, volume), errno);
      if (::mkdirat(folder.get(), part.c_str(), 0750) == 0) {
        struct stat info{};
        ::fstat(root.get(), &info);
        Fd made(open_beneath(root.get(), at.c_str(), O_RDONLY | O_DIRECTORY));
        if (made.get() >= 0) ::fchmod(made.get(), info.st_mode & 07777);  // as the volume itself
      } else if (errno != EEXIST) {
        return errno_error(fmt::format("make {} in volume {}", at, volume), errno);
      }
    }
    source.reset(open_beneath(root.get(), sub_path.c_str(), O_PATH));
  }
  if (source.get() < 0) return errno_error(fmt::format("subPath {} of volume {}", sub_path, volume), errno);
  struct stat info{};
  if (::fstat(source.get(), &info) != 0) return errno_error("stat " + sub_path, errno);
  std::error_code ec;
  fs::create_directories(fs::path(target).parent_path(), ec);
  struct stat present{};
  if (::stat(target.c_str(), &present) == 0 && present.st_dev == info.st_dev && present.st_ino == info.st_ino) return {};
  for (const auto& stale : mounts_below(target)) ::umount2(stale.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (S_ISDIR(info.st_mode)) {
    if (::mkdir(target.c_str(), 0750) != 0 && errno != EEXIST) return errno_error("make " + target, errno);
  } else {
    Fd file(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0640));
    if (file.get() < 0) return errno_error("make " + target, errno);
  }
  const std::string link = fmt::format("/proc/self/fd/{}", source.get());
  if (::mount(link.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return errno_error(fmt::format("bind subPath {} to {}", sub_path, target), errno);
  // A slave: what is unmounted here later must never be unmounted at its origin too.
  if (::mount(nullptr, target.c_str(), nullptr, MS_SLAVE, nullptr) != 0) return errno_error("make a slave of " + target, errno);
  return {};
}

Result<void> give_to_group(const std::string& path, std::int64_t group) {
  std::error_code ec;
  const auto one = [group](const fs::path& entry) -> Result<void> {
    struct stat info{};
    if (::lstat(entry.c_str(), &info) != 0) return errno_error("stat " + entry.string(), errno);
    if (::lchown(entry.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0)
      return errno_error("chown " + entry.string(), errno);
    if (S_ISLNK(info.st_mode)) return {};
    const mode_t wanted = (info.st_mode & 07777) | (S_ISDIR(info.st_mode) ? 02770 : 0660);
    if (::chmod(entry.c_str(), wanted) != 0) return errno_error("chmod " + entry.string(), errno);
    return {};
  };
  RN_CHECK(one(path));
  for (auto it = fs::recursive_directory_iterator(path, ec); !ec && it != fs::recursive_directory_iterator(); it.increment(ec))
    RN_CHECK(one(it->path()));
  return {};
}

}  // namespace rusternetes::kubelet
