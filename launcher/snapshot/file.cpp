#include "launcher/snapshot/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "launcher/snapshot/errors.h"

namespace rusternetes::launcher::snapshot {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  RN_ASSERT(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "no SHA-256");
}

void Sha256::add(Bytes bytes) {
  RN_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "no SHA-256");
}

Sum Sha256::finish() {
  Sum sum;
  RN_ASSERT(EVP_DigestFinal_ex(context_.get(), sum.data(), nullptr) == 1, "a sum is finished once");
  return sum;
}

Sum sha256(Bytes bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.finish();
}

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

Result<File> File::open(const std::filesystem::path& path) {
  // Not to wait for a writer if it is a pipe.
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path);
  if (file.fd_ < 0) return file_error("read", path, errno);
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return file_error("read", path, errno);
  if (!S_ISREG(info.st_mode))
    return failed(reason::bad_request, fmt::format("{} is {}: name a file", path.string(),
                                                   S_ISDIR(info.st_mode) ? "a folder" : "no regular file"));
  file.size_ = static_cast<std::uint64_t>(info.st_size);
  return file;
}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::size_t> File::read_at(std::uint64_t offset, std::span<std::uint8_t> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path_, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<> File::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("write", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace rusternetes::launcher::snapshot
