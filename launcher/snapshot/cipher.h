#pragma once
// A passphrase's key by scrypt (RFC 7914), and AES-256-GCM over chunks after the STREAM construction (Hoang,
// Reyhanitabar, Rogaway, Vizár 2015): the nonce is the chunk's number and whether it is the last one, so that
// neither another order nor a missing end passes. A key seals one file only (its salt is random).

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "launcher/snapshot/file.h"

struct evp_cipher_ctx_st;

namespace rusternetes::launcher::snapshot {

// N = 2^log_n. Memory is 128 * N * r bytes: 128 MiB as given.
struct ScryptCost {
  std::uint8_t log_n = 17;
  std::uint8_t r = 8;
  std::uint8_t p = 1;
};
// More is refused before a byte of memory is taken: whoever made a file must not exhaust who reads it.
bool is_bearable(const ScryptCost& cost);

inline constexpr std::size_t chunk_size = piece_size;
inline constexpr std::size_t tag_size = 16;
inline constexpr std::size_t sealed_size = chunk_size + tag_size;

// Wiped when destroyed.
class FileKey {
 public:
  // Takes as long as the cost says (0.4 s as given). `cost` is bearable.
  static Result<FileKey> derive(std::string_view passphrase, Bytes salt, const ScryptCost& cost);
  FileKey(const FileKey&) = default;
  FileKey& operator=(const FileKey&) = default;
  ~FileKey();

  // HMAC-SHA-256 by a key that seals nothing: tells a wrong passphrase from damage.
  Sum proof(Bytes message) const;
  Bytes sealing_key() const { return Bytes(bytes_).first(32); }

 private:
  FileKey() = default;
  std::array<std::uint8_t, 64> bytes_{};
};

class ChunkCipher {
 public:
  // What `associated` holds is authenticated with every chunk.
  ChunkCipher(const FileKey& key, Bytes associated);

  // `out` becomes the chunk and its tag. At most chunk_size bytes.
  void seal(std::uint64_t number, bool is_last, Bytes plain, std::vector<std::uint8_t>& out);
  // False: not what was sealed under this number and flag. `sealed` has at least a tag.
  bool open(std::uint64_t number, bool is_last, Bytes sealed, std::vector<std::uint8_t>& out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  void begin(std::uint64_t number, bool is_last, bool is_sealing);

  FileKey key_;
  std::vector<std::uint8_t> associated_;
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

}  // namespace rusternetes::launcher::snapshot
