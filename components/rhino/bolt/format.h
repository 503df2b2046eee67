#pragma once
// The pages of a bbolt file, as they lie on disk (bbolt, internal/common: page.go, meta.go, bucket.go).

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace rusternetes::rhino::bolt {

static_assert(std::endian::native == std::endian::little, "the format's byte order is the machine's");

using PageId = std::uint64_t;

inline constexpr std::uint32_t magic = 0xED0CDAED;
inline constexpr std::uint32_t format_version = 2;
inline constexpr std::size_t page_size = 4096;  // of files that are written here
inline constexpr PageId no_freelist = ~PageId{0};

inline constexpr std::uint16_t branch_page = 0x01, leaf_page = 0x02, meta_page = 0x04, freelist_page = 0x10;
inline constexpr std::uint32_t bucket_entry = 0x01;

inline constexpr std::size_t max_key_size = 32768;
inline constexpr std::size_t max_value_size = (std::size_t{1} << 31) - 2;

struct PageHeader {
  PageId id = 0;
  std::uint16_t flags = 0;
  std::uint16_t count = 0;
  std::uint32_t overflow = 0;  // pages that follow and belong to this one
};
static_assert(sizeof(PageHeader) == 16);

// `position`: of the key, from the element's own first byte.
struct BranchElement {
  std::uint32_t position = 0, key_size = 0;
  PageId page = 0;
};
static_assert(sizeof(BranchElement) == 16);

// The value lies behind the key.
struct LeafElement {
  std::uint32_t flags = 0, position = 0, key_size = 0, value_size = 0;
};
static_assert(sizeof(LeafElement) == 16);

// A bucket's value; with root 0, its only page stands behind it.
struct BucketHeader {
  PageId root = 0;
  std::uint64_t sequence = 0;
};

struct Meta {
  std::uint32_t magic = bolt::magic, version = format_version, page_size = bolt::page_size, flags = 0;
  BucketHeader root;
  PageId freelist = 0;
  PageId page_count = 0;  // pages in the file, the meta pages too
  std::uint64_t transaction = 0;
  std::uint64_t checksum = 0;  // FNV-1a of what stands before it
};
static_assert(sizeof(Meta) == 64 && offsetof(Meta, checksum) == 56);

inline std::uint64_t checksum_of(const Meta& meta) {
  unsigned char bytes[offsetof(Meta, checksum)];
  std::memcpy(bytes, &meta, sizeof bytes);
  std::uint64_t hash = 14695981039346656037ULL;
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211ULL;
  return hash;
}

}  // namespace rusternetes::rhino::bolt
