#pragma once
// The SHA-256 behind a saved snapshot (etcd's v3_snapshot.go): it covers all bytes before it, and a file has
// one when its length is 32 bytes more than a multiple of 512.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace rusternetes::rhino {

inline constexpr std::uint64_t sum_bytes = 32;
inline bool has_sum(std::uint64_t file_bytes) { return file_bytes % 512 == sum_bytes; }

// Adds the sum to a file that has none, and syncs it.
Result<void> append_sum(const std::string& path);
// Whether the last 32 of `file_bytes` bytes are the sum of the others.
Result<bool> is_sum_right(int fd, std::uint64_t file_bytes);

}  // namespace rusternetes::rhino
