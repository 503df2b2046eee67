#pragma once
// Small files that a crash leaves either old or new, never torn.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::certs {

inline constexpr unsigned private_mode = 0600;
inline constexpr unsigned public_mode = 0644;

// Writes a temporary file beside `path` with `mode` from its first byte on, syncs it, renames it over `path`
// and syncs the folder. Parent folders must exist. Errors name the path.
Result<> write_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode);

// The whole file; NotFound (404) when there is none. `limit` bytes at most, more is an error.
Result<std::string> read_text(const std::filesystem::path& path, std::size_t limit = 16 << 20);

// Makes the folder and its parents; a folder it makes gets `mode`, one that is there keeps its own.
Result<> make_folder(const std::filesystem::path& path, unsigned mode);

}  // namespace rusternetes::certs
