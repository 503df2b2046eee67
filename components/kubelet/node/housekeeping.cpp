#include "kubelet/node/housekeeping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "kubelet/container/resources.h"

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

namespace {

constexpr auto kRotateEvery = std::chrono::seconds(10);
constexpr int kCleanEvery = 6;  // rounds

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> copy_all(int from, int to) {
  char block[64 * 1024];
  for (;;) {
    const auto got = ::read(from, block, sizeof block);
    if (got < 0) return errno_error("read a log", errno);
    if (got == 0) return {};
    for (ssize_t at = 0; at < got;) {
      const auto put = ::write(to, block + at, static_cast<std::size_t>(got - at));
      if (put < 0) return errno_error("write a rotated log", errno);
      at += put;
    }
  }
}

void rotate_all(const std::string& root, std::int64_t most_bytes, int most_files) {
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(root, ec); !ec && it != fs::recursive_directory_iterator(); it.increment(ec)) {
    if (it->path().extension() != ".log" || !it->is_regular_file(ec) || it->is_symlink(ec)) continue;
    auto rotated = rotate_log(it->path().string(), most_bytes, most_files);
    if (!rotated) log::warn("kubelet", "{}", rotated.error().message);
  }
}

}  // namespace

Result<bool> rotate_log(const std::string& path, std::int64_t most_bytes, int most_files) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= most_bytes) return false;
  for (int i = most_files - 1; i >= 1; --i) {
    const std::string from = fmt::format("{}.{}", path, i);
    if (i == most_files - 1)
      ::unlink(from.c_str());
    else if (::rename(from.c_str(), fmt::format("{}.{}", path, i + 1).c_str()) != 0 && errno != ENOENT)
      return errno_error("rename " + from, errno);
  }
  Fd from(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (from.get() < 0) return errno_error("open " + path, errno);
  if (most_files > 1) {
    Fd to(::open((path + ".1").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (to.get() < 0) return errno_error("make " + path + ".1", errno);
    RN_CHECK(copy_all(from.get(), to.get()));
  }
  if (::ftruncate(from.get(), 0) != 0) return errno_error("truncate " + path, errno);
  return true;
}

Task<> Housekeeping::run(std::function<bool(const std::string& uid)> is_known) {
  for (int round = 0;; ++round) {
    const auto& options = context_.options;
    auto rotate = [root = options.log_dir, bytes = options.container_log_max_bytes, files = options.container_log_max_files] {
      rotate_all(root, bytes, files);
    };
    co_await context_.files.run(rotate);
    context_.objects.collect();
    if (round % kCleanEvery == 0) co_await clean(is_known);
    co_await sleep_for(kRotateEvery);
  }
}

// Remains of Pods: folders with volumes, cgroups that were busy, wires.
Task<> Housekeeping::clean(const std::function<bool(const std::string& uid)>& is_known) {
  for (const auto& uid : co_await context_.volumes.pods_on_disk()) {
    if (is_known(uid)) continue;
    auto removed = co_await context_.volumes.remove(uid);
    if (!removed) log::warn("kubelet", "folder of a Pod that is gone: {}", removed.error().message);
  }
  auto wired = co_await context_.network.wired();
  if (wired)
    for (const auto& uid : *wired) {
      if (is_known(uid)) continue;
      auto unwired = co_await context_.network.unwire(uid);
      if (!unwired) log::warn("kubelet", "wire of a Pod that is gone: {}", unwired.error().message);
    }
  co_await context_.holder.clean();
  for (const auto qos : {QosClass::guaranteed, QosClass::burstable, QosClass::best_effort}) {
    const std::string parent = qos_cgroup(context_.options.cgroup_root, qos);
    const auto& cgroups = context_.cgroups;
    auto list = [&cgroups, parent] { return cgroups.children(parent); };
    for (const auto& name : co_await context_.files.run(list)) {
      if (!name.starts_with("pod") || is_known(name.substr(3))) continue;
      const std::string path = parent + "/" + name;
      auto remove = [&cgroups, path] { return cgroups.remove(path); };
      auto removed = co_await context_.files.run(remove);
      if (!removed) log::debug("kubelet", "{}", removed.error().message);
    }
  }
}

}  // namespace rusternetes::kubelet
