#include "launcher/adapters/host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "certs/file.h"

namespace rusternetes::launcher {
namespace {

// \040 and its like, by which mountinfo writes blanks.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_octal = [&](std::size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '7';
    };
    if (text[i] == '\\' && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Of file systems without a length, such as those of /proc.
Result<std::string> mountinfo() { return certs::read_text("/proc/thread-self/mountinfo", 64 << 20); }

}  // namespace

std::vector<std::string> mounts_below(std::string_view mountinfo, const std::string& folder) {
  std::vector<std::string> out;
  while (!mountinfo.empty()) {
    const auto end = mountinfo.find('\n');
    std::string_view line = mountinfo.substr(0, end);
    mountinfo = end == std::string_view::npos ? std::string_view() : mountinfo.substr(end + 1);
    // ID, parent, device, root, mount point
    for (int skipped = 0; skipped < 4 && !line.empty(); ++skipped) {
      const auto space = line.find(' ');
      line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    }
    const std::string path = unescaped(line.substr(0, line.find(' ')));
    if (path == folder ||
        (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/'))
      out.push_back(path);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

bool LinuxHost::is_root() { return ::geteuid() == 0; }

bool LinuxHost::is_executable(const std::filesystem::path& path) { return ::access(path.c_str(), X_OK) == 0; }

bool LinuxHost::is_port_free(const std::string& address, std::uint16_t port) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size = sizeof *v6;
  } else {
    return false;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  // As the api-server binds: connections of a process that ended do not count.
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return is_free;
}

std::string LinuxHost::default_address() {
  // Connecting a datagram socket sends nothing; the kernel only chooses the source address.
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(9);
  ::inet_pton(AF_INET, "192.0.2.1", &peer.sin_addr);  // TEST-NET-1 (RFC 5737): never a host's own
  sockaddr_in own{};
  socklen_t size = sizeof own;
  std::array<char, INET_ADDRSTRLEN> text{};
  const bool is_known = fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0 &&
                        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
                        ::inet_ntop(AF_INET, &own.sin_addr, text.data(), text.size()) != nullptr;
  if (fd >= 0) ::close(fd);
  return is_known ? text.data() : "127.0.0.1";
}

Result<> LinuxHost::share_folder(const std::filesystem::path& folder) {
  RN_TRY(const std::string mounts, mountinfo());
  const auto below = mounts_below(mounts, folder.string());
  if (std::find(below.begin(), below.end(), folder.string()) == below.end() &&
      // With what a kubelet that came up by itself has mounted below.
      ::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return errno_error("bind " + folder.string(), errno);
  if (::mount(nullptr, folder.c_str(), nullptr, MS_SHARED | MS_REC, nullptr) != 0)
    return errno_error("share " + folder.string(), errno);
  return {};
}

Result<> LinuxHost::unmount_below(const std::filesystem::path& folder) {
  RN_TRY(const std::string mounts, mountinfo());
  for (const std::string& path : mounts_below(mounts, folder.string())) {
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) continue;
    // Somebody still has a file open there: out of the tree now, gone when it is closed.
    if (errno == EBUSY && ::umount2(path.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) continue;
    return errno_error("unmount " + path, errno);
  }
  return {};
}

}  // namespace rusternetes::launcher
