#include "kubelet/volumes/atomic_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

namespace {

constexpr char kData[] = "..data";
constexpr char kDataAside[] = "..data_tmp";

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// The files below a version's folder, relative.
std::set<std::string> files_below(const fs::path& version) {
  std::set<std::string> out;
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(version, ec); !ec && it != fs::recursive_directory_iterator(); it.increment(ec))
    if (it->is_regular_file(ec)) out.insert(fs::relative(it->path(), version, ec).string());
  return out;
}

bool is_current(const fs::path& version, const Payload& payload) {
  const auto present = files_below(version);
  if (present.size() != payload.size()) return false;
  for (const auto& [path, file] : payload) {
    struct stat info{};
    const auto full = version / path;
    if (!present.contains(path) || ::stat(full.c_str(), &info) != 0) return false;
    if ((info.st_mode & 07777) != file.mode || read_all(full) != file.bytes) return false;
    if (file.owner && info.st_uid != static_cast<uid_t>(*file.owner)) return false;
  }
  return true;
}

Result<void> write_file(const fs::path& path, const VolumeFile& file, std::int64_t group) {
  std::error_code ec;
  fs::create_directories(path.parent_path(), ec);
  if (ec) return internal_error(fmt::format("make {}: {}", path.parent_path().string(), ec.message()));
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("create " + path.string(), errno);
  Result<void> out;
  for (std::size_t at = 0; at < file.bytes.size() && out;) {
    const auto written = ::write(fd, file.bytes.data() + at, file.bytes.size() - at);
    if (written < 0)
      out = errno_error("write " + path.string(), errno);
    else
      at += static_cast<std::size_t>(written);
  }
  const uid_t owner = file.owner ? static_cast<uid_t>(*file.owner) : static_cast<uid_t>(-1);
  const gid_t owning_group = group >= 0 ? static_cast<gid_t>(group) : static_cast<gid_t>(-1);
  if (out && (file.owner || group >= 0) && ::fchown(fd, owner, owning_group) != 0) out = errno_error("chown " + path.string(), errno);
  if (out && ::fchmod(fd, file.mode) != 0) out = errno_error("chmod " + path.string(), errno);
  ::close(fd);
  return out;
}

Result<void> swap_data(const fs::path& folder, const std::string& version) {
  const auto aside = folder / kDataAside;
  ::unlink(aside.c_str());
  if (::symlink(version.c_str(), aside.c_str()) != 0) return errno_error("link " + aside.string(), errno);
  const auto data = folder / kData;
  if (::rename(aside.c_str(), data.c_str()) != 0) return errno_error("replace " + data.string(), errno);
  return {};
}

// One link for each first part of a path; those of earlier versions that nobody has any more go away.
Result<void> set_visible_names(const fs::path& folder, const Payload& payload) {
  std::set<std::string> wanted;
  for (const auto& [path, file] : payload) wanted.insert(path.substr(0, path.find('/')));
  for (const auto& name : wanted) {
    const auto link = folder / name;
    const std::string target = std::string(kData) + "/" + name;
    std::error_code ec;
    if (fs::is_symlink(link, ec) && fs::read_symlink(link, ec) == target) continue;
    if (::symlink(target.c_str(), link.c_str()) != 0) return errno_error("link " + link.string(), errno);
  }
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("..") && !wanted.contains(name)) fs::remove(entry.path(), ec);
  }
  return {};
}

std::string version_name() {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return fmt::format("..{}", now);
}

}  // namespace

Result<bool> write_atomically(const std::string& folder, const Payload& payload, std::int64_t group) {
  const fs::path root(folder);
  std::error_code ec;
  const auto old = fs::read_symlink(root / kData, ec);
  const bool has_old = !ec && !old.empty();
  if (has_old && is_current(root / old, payload)) {
    RN_CHECK(set_visible_names(root, payload));
    return false;
  }
  const std::string version = version_name();
  const auto aside = root / version;
  if (::mkdir(aside.c_str(), 0755) != 0) return errno_error("make " + aside.string(), errno);
  ::chmod(aside.c_str(), 0755);
  Result<void> written;
  for (const auto& [path, file] : payload) {
    written = write_file(aside / path, file, group);
    if (!written) break;
  }
  if (written) written = swap_data(root, version);
  if (!written) {
    fs::remove_all(aside, ec);
    return std::move(written).error();
  }
  RN_CHECK(set_visible_names(root, payload));
  // Whatever no link leads to any more, an interrupted write's remains among it.
  for (const auto& entry : fs::directory_iterator(root, ec)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("..") && name != kData && name != version) fs::remove_all(entry.path(), ec);
  }
  return true;
}

}  // namespace rusternetes::kubelet
