#pragma once
// The clear frame around a snapshot's body: a header and a trailer, both zstd skippable frames (RFC
// 8878, 3.1.2), so that `tar --zstd` reads a snapshot that is not encrypted. README.md has the layout.

#include <array>
#include <cstdint>
#include <span>
#include <variant>

#include "launcher/snapshot/cipher.h"
#include "launcher/snapshot/file.h"

namespace rusternetes::launcher::snapshot {

inline constexpr int newest_format = 1;
inline constexpr std::size_t header_size = 136;
inline constexpr std::size_t trailer_size = 48;
inline constexpr std::size_t salt_size = 32;

struct Header {
  int format = newest_format;
  bool is_encrypted = false;
  ScryptCost cost;
  std::int64_t created_at_s = 0;  // since 1970
  std::array<std::uint8_t, salt_size> salt{};
  // Plain: the SHA-256 of snapshot.json. Encrypted: FileKey::proof of what stands before it.
  Sum proof{};
};
using HeaderBytes = std::array<std::uint8_t, header_size>;
using TrailerBytes = std::array<std::uint8_t, trailer_size>;

// What proof stands for in an encrypted file.
Bytes proven_part(const HeaderBytes& bytes);
HeaderBytes write_header(const Header& header);
// Computes the header's own sum again: for who changes bytes of it, as write_header does.
void sum_header(HeaderBytes& bytes);

// Why bytes are no header.
enum class HeaderFault { foreign, cut_short, damaged, newer };
struct BadHeader {
  HeaderFault fault;
  int format = 0;  // when newer
};
// `start`: the file's first bytes, header_size of them or all there are.
std::variant<Header, BadHeader> read_header(Bytes start);

// `file_size` counts the trailer, `sum` is of all before the sum itself, the trailer's first bytes too.
TrailerBytes begin_trailer(std::uint64_t file_size);
inline constexpr std::size_t summed_part_of_trailer = trailer_size - sizeof(Sum);

}  // namespace rusternetes::launcher::snapshot
