#pragma once
// A snapshot's bytes in order: header, body (plain, or sealed chunks), trailer with the sum of all. Buffers
// of piece_size, whatever the size of what is inside.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/snapshot/cipher.h"
#include "launcher/snapshot/file.h"
#include "launcher/snapshot/format.h"

namespace rusternetes::launcher::snapshot {

class BodySink {
 public:
  // Writes to `file`, which outlives it; seals with `key` if there is one.
  BodySink(File& file, const HeaderBytes& header, const FileKey* key);

  Result<> begin();
  Result<> add(Bytes bytes);
  Result<> finish();

 private:
  Result<> put(Bytes bytes);
  Result<> seal(bool is_last);

  File& file_;
  HeaderBytes header_;
  std::unique_ptr<ChunkCipher> cipher_;
  std::vector<std::uint8_t> chunk_;
  std::vector<std::uint8_t> sealed_;
  std::uint64_t number_ = 0;
  std::uint64_t written_ = 0;
  Sha256 sum_;
};

class BodySource {
 public:
  // `file` outlives it and is as long as when it was opened.
  BodySource(const File& file, const HeaderBytes& header, const FileKey* key);

  // What is being read, for errors.
  void set_part(std::string part) { part_ = std::move(part); }
  // Valid until the next call; empty at the body's end.
  Result<Bytes> next();
  // Reads what is left and compares the sum of all.
  Result<> finish();

 private:
  Result<Bytes> next_sealed();
  Result<Bytes> read(std::size_t size);

  const File& file_;
  std::unique_ptr<ChunkCipher> cipher_;
  std::string part_ = "its beginning";
  std::uint64_t at_ = header_size;
  std::uint64_t end_;
  std::uint64_t number_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint8_t> plain_;
  Sha256 sum_;
};

}  // namespace rusternetes::launcher::snapshot
