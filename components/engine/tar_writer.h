#pragma once
// A tar written piece by piece, the same bytes for the same input: no times, owners as given. Only
// image_builder.cpp includes it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/image_builder.h"

struct archive;

namespace rusternetes::engine {

class TarWriter {
 public:
  explicit TarWriter(ByteSink sink);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  // The whole entry; `content` is what a file holds.
  Result<void> add(const LayerEntry& item, std::string_view content);
  // A file of `size` bytes in pieces: begin, write until they are all there, end (an error before).
  Result<void> begin(const LayerEntry& item, std::uint64_t size);
  Result<void> write(std::string_view piece);
  Result<void> end();
  Result<void> finish();

 private:
  struct Target;
  // The sink's error, or libarchive's unless `is_written`.
  Result<void> check(bool is_written) const;
  Status other_size() const;

  std::string path_;  // of the entry that is written, for errors
  std::uint64_t left_ = 0;
  std::unique_ptr<Target> target_;
  std::unique_ptr<struct archive, int (*)(struct archive*)> archive_;
};

// Reads the file in pieces and writes it as the entry. An error when it changes meanwhile.
Result<void> add_host_file(TarWriter& writer, const LayerEntry& item);

}  // namespace rusternetes::engine
