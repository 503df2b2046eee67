#pragma once
// The tar archive in a snapshot's body, entry by entry. Whatever is not an ordinary file is refused as
// damage: no writer of ours puts it there.

#include <memory>
#include <span>
#include <string>

#include "launcher/snapshot/body.h"

struct archive;

namespace rusternetes::launcher::snapshot {

class ArchiveIn {
 public:
  // Both outlive it; `snapshot` is for errors.
  ArchiveIn(BodySource& source, const std::filesystem::path& snapshot);

  // False at the archive's end.
  Result<bool> next();
  // Of the entry that next() came to.
  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  // 0 at the entry's end.
  Result<std::size_t> read(std::span<std::uint8_t> into);
  Status broken(std::string_view why) const;

 private:
  struct Close {
    void operator()(archive* one) const;
  };
  static long give(archive*, void* self, const void** buffer);  // libarchive's read callback
  Status failure() const;
  // The entry's name if it is one that may be shown on a terminal.
  std::string shown_name() const;

  BodySource& source_;
  const std::filesystem::path& snapshot_;
  Result<> source_state_;  // libarchive carries no Status
  std::string name_;
  std::uint64_t size_ = 0;
  std::unique_ptr<archive, Close> archive_;
  bool is_open_ = false;
};

}  // namespace rusternetes::launcher::snapshot
