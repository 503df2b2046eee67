#include "rhino/snapshot_sum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace rusternetes::rhino {
namespace {

Result<std::string> sum_of(int fd, std::uint64_t size) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return internal_error("no SHA-256");
  std::vector<char> buffer(1 << 20);
  for (std::uint64_t at = 0; at < size;) {
    const ssize_t got =
        ::pread(fd, buffer.data(), std::min<std::uint64_t>(buffer.size(), size - at), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return errno_error("cannot read the file", got < 0 ? errno : EIO);
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  std::string sum(sum_bytes, '\0');
  if (EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(sum.data()), nullptr) != 1)
    return internal_error("no SHA-256");
  return sum;
}

}  // namespace

Result<void> append_sum(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno_error(fmt::format("cannot open {}", path), errno);
  auto appended = [&]() -> Result<void> {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return errno_error(fmt::format("cannot look at {}", path), errno);
    RN_TRY(const auto sum, sum_of(fd, static_cast<std::uint64_t>(info.st_size)));
    const ssize_t wrote = ::pwrite(fd, sum.data(), sum.size(), info.st_size);
    if (wrote != static_cast<ssize_t>(sum.size()) || ::fsync(fd) != 0)
      return errno_error(fmt::format("cannot write {}", path), wrote >= 0 && errno == 0 ? ENOSPC : errno);
    return {};
  }();
  ::close(fd);
  return appended;
}

Result<bool> is_sum_right(int fd, std::uint64_t file_bytes) {
  RN_TRY(const auto sum, sum_of(fd, file_bytes - sum_bytes));
  std::string found(sum_bytes, '\0');
  const ssize_t got = ::pread(fd, found.data(), found.size(), static_cast<off_t>(file_bytes - sum_bytes));
  return got == static_cast<ssize_t>(found.size()) && found == sum;
}

}  // namespace rusternetes::rhino
