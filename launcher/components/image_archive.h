#pragma once
// Archives of images on their way into an engine, in pieces: what is wrong with one is said before the engine
// sees it, and however large it is, only a buffer of it is in memory.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/status.h"

namespace rusternetes::launcher {

// Reads the archive to its end, packed (gzip, bzip2, xz, zstd) or not. NotFound; BadArchive: no tar, cut off,
// or one without an image in it (neither docker-save's manifest.json nor OCI's index.json).
Result<> check_image_archive(const std::filesystem::path& archive);

struct UploadAnswer {
  int status = 0;
  std::string body;
};
// POSTs the file to an engine's unix socket. An error means that there was no answer.
Result<UploadAnswer> upload_file(
    const std::string& socket, const std::string& target, const std::filesystem::path& file,
    const std::function<void(std::uint64_t sent, std::uint64_t all)>& on_progress);

}  // namespace rusternetes::launcher
