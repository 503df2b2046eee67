#include "launcher/snapshot/new_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/sync.h"
#include "launcher/snapshot/errors.h"

namespace rusternetes::launcher::snapshot {
namespace {

namespace fs = std::filesystem;

constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

}  // namespace

Result<NewFiles> NewFiles::in(const fs::path& folder) {
  // Without a slash at its end, so that its parent is the one that holds its name.
  const fs::path clean = folder.has_filename() ? folder : folder.parent_path();
  const bool is_new = ::mkdir(clean.c_str(), 0700) == 0;
  if (!is_new && errno != EEXIST) return file_error("make the folder", clean, errno);
  File root(::open(clean.c_str(), folder_flags), clean);
  if (root.fd() < 0)
    return errno == ENOTDIR ? in_the_way(clean) : file_error("open the folder", clean, errno);
  return NewFiles(std::move(root), is_new);
}

NewFiles::~NewFiles() {
  if (root_.fd() < 0) return;
  for (auto made = made_.rbegin(); made != made_.rend(); ++made)
    ::unlinkat(root_.fd(), made->path.c_str(), made->is_folder ? AT_REMOVEDIR : 0);
  if (is_root_new_) ::rmdir(root_.path().c_str());
}

Result<File> NewFiles::open_folder(const File& parent, const std::string& name, const fs::path& path) {
  const bool is_new = ::mkdirat(parent.fd(), name.c_str(), 0700) == 0;
  if (!is_new && errno != EEXIST) return file_error("make the folder", root_.path() / path, errno);
  if (is_new) made_.push_back({path, true});
  File folder(::openat(parent.fd(), name.c_str(), folder_flags | O_NOFOLLOW), root_.path() / path);
  if (folder.fd() >= 0) return folder;
  if (errno == ENOTDIR || errno == ELOOP) return in_the_way(root_.path() / path);
  return file_error("open the folder", root_.path() / path, errno);
}

Result<File> NewFiles::create(const std::string& name) {
  const fs::path wanted(name);
  const File* parent = &root_;
  File folder(-1, {});
  fs::path at;
  for (const fs::path& part : wanted.parent_path()) {
    at /= part;
    RN_TRY(folder, open_folder(*parent, part.string(), at));
    parent = &folder;
  }
  File file(::openat(parent->fd(), wanted.filename().c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
            root_.path() / wanted);
  if (file.fd() < 0) return file_error("write", file.path(), errno);
  made_.push_back({wanted, false});
  return file;
}

Result<> NewFiles::keep() {
  std::set<fs::path> parents;
  for (const Made& made : made_) parents.insert((root_.path() / made.path).parent_path());
  for (const fs::path& parent : parents) RN_CHECK(sync_folder_of(parent / "."));
  if (is_root_new_) RN_CHECK(sync_folder_of(root_.path()));
  made_.clear();
  is_root_new_ = false;
  return {};
}

}  // namespace rusternetes::launcher::snapshot
