// The file side of user_kubeconfig.h: where it is, its lock, and how it is replaced.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/file_wait.h"
#include "launcher/user_kubeconfig.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds lock_patience{5};
constexpr std::string_view lock_owner = "rusternetes-ctl ";

// client-go creates NAME.lock exclusively, writes, and removes it. Ours says who holds it, so that one left
// by a killed process can be told from another program's.
class KubeconfigLock {
 public:
  static Result<std::unique_ptr<KubeconfigLock>> acquire(const fs::path& file) {
    const fs::path path = file.string() + ".lock";
    int error = 0;
    RN_TRY(const bool is_ours, wait_for_folder(path.parent_path(), lock_patience, [&] {
             error = make(path);
             if (error == EEXIST && is_stale(path)) {
               ::unlink(path.c_str());
               error = make(path);
             }
             return error != EEXIST;
           }));
    if (!is_ours)
      return failure("KubeconfigLocked", fmt::format("{} is held by another program", path.string()));
    if (error != 0) return errno_error("create " + path.string(), error);
    return std::unique_ptr<KubeconfigLock>(new KubeconfigLock(path));
  }
  ~KubeconfigLock() { ::unlink(path_.c_str()); }
  KubeconfigLock(const KubeconfigLock&) = delete;
  KubeconfigLock& operator=(const KubeconfigLock&) = delete;

 private:
  explicit KubeconfigLock(fs::path path) : path_(std::move(path)) {}

  // 0, or what went wrong. It gets its name once it says whose it is: of a process that was killed in between nothing is
  // left, where a lock of nobody would stay for ever. Not every file system has files without a name.
  static int make(const fs::path& path) {
    const std::string text = fmt::format("{}{}", lock_owner, ::getpid());
    int fd = ::open(path.parent_path().c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    const bool is_named = fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL);
    if (is_named) fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    errno = EIO;  // of a write that is too short
    int error = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
    const std::string nameless = fmt::format("/proc/self/fd/{}", fd);
    if (error == 0 && !is_named &&
        ::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0)
      error = errno;
    if (error != 0 && is_named) ::unlink(path.c_str());
    ::close(fd);
    return error;
  }

  static bool is_stale(const fs::path& path) {
    const auto text = certs::read_text(path, 64);
    if (!text || !text->starts_with(lock_owner)) return false;
    pid_t pid = 0;
    std::from_chars(text->data() + lock_owner.size(), text->data() + text->size(), pid);
    return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
  }
  fs::path path_;
};

Status with_path(const fs::path& path, const Status& status) {
  return Status(status.code, status.reason, fmt::format("{}: {}", path.string(), status.message),
                status.details);
}

using Edit = std::function<Result<std::string>(std::string_view)>;

struct Modes {
  unsigned before = 0;
  unsigned after = 0;
};

// `is_adding`: what is added may be a private key, which the others that may read the file must not see.
Result<Modes> edit_file(const fs::path& named, bool is_adding, const Edit& edit) {
  // A link is often into a folder of dotfiles: its target is replaced, not the link.
  std::error_code ignored;
  const fs::path path = fs::exists(named, ignored) ? fs::canonical(named, ignored) : named;
  RN_CHECK(certs::make_folder(path.parent_path(), 0755));
  RN_TRY([[maybe_unused]] auto lock, KubeconfigLock::acquire(path));
  struct stat before {};
  const bool is_there = ::stat(path.c_str(), &before) == 0;
  std::string text;
  if (is_there) {
    RN_TRY(text, certs::read_text(path));
  }
  auto edited = edit(text);
  if (!edited) return with_path(path, edited.error());
  Modes modes;
  modes.before = modes.after = is_there ? before.st_mode & 0777 : certs::private_mode;
  if (is_adding && has_secrets(*edited)) modes.after &= 0700;
  if (*edited == text && modes.after == modes.before) return modes;
  if (edited->empty()) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error("remove " + path.string(), errno);
    return modes;
  }
  RN_CHECK(certs::write_atomically(path, *edited, modes.after));
  // Under sudo the file may be a user's own, and must stay so.
  if (is_there && ::chown(path.c_str(), before.st_uid, before.st_gid) != 0)
    return errno_error("chown " + path.string(), errno);
  return modes;
}

}  // namespace

fs::path user_kubeconfig_path(const std::function<std::optional<std::string>(const char*)>& variable) {
  const std::string list = variable("KUBECONFIG").value_or("");
  std::size_t begin = 0;
  while (begin < list.size()) {  // empty entries are skipped, as client-go does
    const std::size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) return fs::absolute(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return fs::path(variable("HOME").value_or("/root")) / ".kube/config";
}

Result<std::string> merge_kubeconfig_file(const fs::path& path, const fs::path& addition) {
  RN_TRY(const std::string added, certs::read_text(addition));
  RN_TRY(const Modes modes,
         edit_file(path, true, [&](std::string_view text) { return merge_kubeconfig(text, added); }));
  if (modes.after == modes.before) return std::string();
  return fmt::format("The mode of {} was {:04o} and is {:04o} now, since it holds a private key.",
                     path.string(), modes.before, modes.after);
}

Result<> renew_kubeconfig_file(const fs::path& path, const fs::path& addition) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  RN_TRY(const std::string added, certs::read_text(addition));
  RN_TRY([[maybe_unused]] const Modes modes,
         edit_file(path, false, [&](std::string_view text) { return renew_kubeconfig(text, added); }));
  return {};
}

Result<> check_kubeconfig_file(const fs::path& path) {
  const auto text = certs::read_text(path);
  if (!text && text.error().code == 404) return {};
  if (!text) return failure("KubeconfigBroken", text.error().message);
  const auto checked = check_kubeconfig(*text);
  return checked ? checked : Result<>(with_path(path, checked.error()));
}

Result<> remove_from_kubeconfig_file(const fs::path& path, const std::string& name) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    // A process that was killed while it wrote the first version may have left its lock.
    if (!fs::exists(path.string() + ".lock", ignored)) return {};
  }
  RN_TRY([[maybe_unused]] const Modes modes,
         edit_file(path, false, [&](std::string_view text) { return remove_from_kubeconfig(text, name); }));
  return {};
}

}  // namespace rusternetes::launcher
