#pragma once
// A file descriptor with an owner, and SHA-256 over what goes through one.

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_md_ctx_st;

namespace rusternetes::launcher::snapshot {

using Bytes = std::span<const std::uint8_t>;
using Sum = std::array<std::uint8_t, 32>;

inline constexpr std::size_t piece_size = 64 << 10;

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class Sha256 {
 public:
  Sha256();
  void add(Bytes bytes);
  Sum finish();  // once

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};
Sum sha256(Bytes bytes);
std::string hex(Bytes bytes);

// Errors name `path`, which need not be there any more.
class File {
 public:
  // A regular file, to read; `size` is what it had then.
  static Result<File> open(const std::filesystem::path& path);
  File(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

  // Fewer bytes than asked for only at the file's end.
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const;
  Result<> write(Bytes bytes);

 private:
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace rusternetes::launcher::snapshot
