#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "kubelet/volumes/volume_manager.h"

namespace rusternetes::kubelet {

Result<void> check_host_path(const std::string& path, std::string_view type) {
  struct stat info{};
  const bool is_there = ::stat(path.c_str(), &info) == 0;
  const auto wrong = [&](const char* what) {
    return internal_error(fmt::format("hostPath type check failed: {} is not a {}", path, what));
  };
  if (!is_there && (type.empty() || type == "DirectoryOrCreate")) {
    std::error_code ec;
    std::filesystem::create_directories(path, ec);
    if (ec) return internal_error(fmt::format("make {}: {}", path, ec.message()));
    ::chmod(path.c_str(), 0755);
    return {};
  }
  if (!is_there && type == "FileOrCreate") {
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) return errno_error("make " + path, errno);
    ::close(fd);
    return {};
  }
  if (type.empty()) return {};
  if (type.starts_with("Directory") && !(is_there && S_ISDIR(info.st_mode))) return wrong("directory");
  if (type.starts_with("File") && !(is_there && S_ISREG(info.st_mode))) return wrong("file");
  if (type == "Socket" && !(is_there && S_ISSOCK(info.st_mode))) return wrong("socket file");
  if (type == "CharDevice" && !(is_there && S_ISCHR(info.st_mode))) return wrong("character device");
  if (type == "BlockDevice" && !(is_there && S_ISBLK(info.st_mode))) return wrong("block device");
  return {};
}

}  // namespace rusternetes::kubelet
