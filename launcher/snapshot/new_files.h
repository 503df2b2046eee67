#pragma once
// Files that come out of a snapshot: mode 0600 in folders of mode 0700, nothing overwritten, no link followed
// below the folder they go to. Destroyed before keep(), it removes what it made.

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/snapshot/file.h"

namespace rusternetes::launcher::snapshot {

class NewFiles {
 public:
  // Makes the folder if there is none; its parent is there.
  static Result<NewFiles> in(const std::filesystem::path& folder);
  NewFiles(NewFiles&& other) noexcept = default;
  NewFiles& operator=(NewFiles&&) = delete;
  ~NewFiles();

  // `name` as is_member_name wants it. FileInTheWay, NoSpace. The File may write.
  Result<File> create(const std::string& name);
  // The names are on disk; the files themselves are synced by who wrote them.
  Result<> keep();

 private:
  struct Made {
    std::filesystem::path path;  // below the folder
    bool is_folder;
  };
  NewFiles(File root, bool is_root_new) : root_(std::move(root)), is_root_new_(is_root_new) {}
  Result<File> open_folder(const File& parent, const std::string& name, const std::filesystem::path& path);

  File root_;
  bool is_root_new_;
  std::vector<Made> made_;
};

}  // namespace rusternetes::launcher::snapshot
