#include "launcher/images/root.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <set>

#include "launcher/images/errors.h"

namespace rusternetes::launcher::images {
namespace {

namespace fs = std::filesystem;
using engine::LayerEntry;

constexpr int most_links = 40;  // as the kernel

void push_front(std::deque<std::string>& names, const fs::path& path) {
  std::vector<std::string> parts;
  for (const auto& part : path.relative_path()) parts.push_back(part.string());
  names.insert(names.begin(), parts.begin(), parts.end());
}

// What glibc's loader looks through in any case: /lib and /usr/lib, plain, 64 and of the machine, which is
// where libc.so.6 itself is.
bool is_searched_anyway(const std::string& folder, const std::set<std::string>& libc_folders) {
  static const std::set<std::string> always = {"/lib", "/lib64", "/usr/lib", "/usr/lib64"};
  return always.contains(folder) || libc_folders.contains(folder);
}

std::vector<LayerEntry> small_files() {
  return {LayerEntry::file("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n"),
          LayerEntry::file("etc/group", "root:x:0:\n"),
          LayerEntry::file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
          LayerEntry::directory("root", 0700), LayerEntry::directory("tmp", 01777),
          // Where Debian's OpenSSL looks for the host's authorities. Empty: a webhook brings its caBundle;
          // who wants the host's own mounts them here, as kubeadm does.
          LayerEntry::directory("etc/ssl/certs"), LayerEntry::symlink("usr/lib/ssl/certs", "/etc/ssl/certs")};
}

}  // namespace

Result<std::string> PathMirror::add(const std::string& path) {
  std::deque<std::string> names;
  push_front(names, path);
  fs::path at = "/";
  for (int links = 0; !names.empty();) {
    const std::string name = names.front();
    names.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / name;
    std::error_code error;
    const auto status = fs::symlink_status(next, error);
    if (error || !fs::exists(status)) return binary_missing(fmt::format("{} does not exist", path));
    if (fs::is_symlink(status)) {
      if (++links > most_links) return binary_missing(fmt::format("{} is a circle of links", path));
      const fs::path target = fs::read_symlink(next, error);
      if (error) return binary_missing(fmt::format("{}: {}", next.string(), error.message()));
      entries_[next.string()] = LayerEntry::symlink(next.string(), target.string());
      if (target.is_absolute()) at = "/";
      push_front(names, target);
      continue;
    }
    if (names.empty() && !fs::is_regular_file(status))
      return binary_missing(fmt::format("{} is not a file", path));
    at = next;
  }
  entries_[at.string()] = LayerEntry::from_host(at.string(), at.string());
  return at.string();
}

std::vector<LayerEntry> PathMirror::take() {
  std::vector<LayerEntry> out;
  for (auto& [path, entry] : entries_) out.push_back(std::move(entry));
  entries_.clear();
  return out;
}

Result<SharedRoot> shared_root(const std::vector<ProgramNeeds>& programs) {
  PathMirror mirror;
  std::set<std::string> libc_folders, folders;
  for (const ProgramNeeds& program : programs) {
    if (!program.interpreter.empty()) {
      RN_TRY([[maybe_unused]] auto loader, mirror.add(program.interpreter));
    }
    for (const std::string& library : program.libraries) {
      RN_TRY([[maybe_unused]] auto real, mirror.add(library));
      // A library is looked for under its soname, in the folder where that name stands.
      const fs::path name(library);
      std::error_code error;
      const std::string folder = fs::canonical(name.parent_path(), error).string();
      if (name.filename() == "libc.so.6") libc_folders.insert(folder);
      if (library != program.interpreter) folders.insert(folder);
    }
  }
  SharedRoot out;
  for (const std::string& folder : folders)
    if (!is_searched_anyway(folder, libc_folders))
      out.library_path += (out.library_path.empty() ? "" : ":") + folder;
  out.entries = mirror.take();
  for (LayerEntry& entry : small_files()) out.entries.push_back(std::move(entry));
  return out;
}

}  // namespace rusternetes::launcher::images
