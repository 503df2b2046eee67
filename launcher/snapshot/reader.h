#pragma once
// Reads a snapshot: nothing in it is believed before it is checked, and however large it is, only buffers of
// it are in memory.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "launcher/snapshot/cipher.h"
#include "launcher/snapshot/file.h"
#include "launcher/snapshot/format.h"
#include "launcher/snapshot/manifest.h"
#include "launcher/snapshot/writer.h"

namespace rusternetes::launcher::snapshot {

// Errors of all that follows: NotFound, SnapshotForeign, SnapshotCut, SnapshotDamaged, SnapshotNewer; with a
// passphrase, PassphraseWrong.

struct Overview {
  int format = 0;
  bool is_encrypted = false;
  std::int64_t created_at_s = 0;
  std::uint64_t file_size = 0;
  std::optional<Manifest> manifest;  // none: encrypted, and there was no passphrase
};
// For a listing. Reads the beginning and the end of the file, no more than the manifest needs.
Result<Overview> inspect(const std::filesystem::path& path,
                         std::optional<std::string_view> passphrase = std::nullopt);

// That the file is as it was written, by its sum; an encrypted one needs no passphrase. Reads all of it.
Result<> check_sum(const std::filesystem::path& path);

// Blocking. Each call below reads the file from its beginning.
class Reader {
 public:
  // PassphraseNeeded. A passphrase for a snapshot that is not encrypted is not looked at.
  static Result<std::unique_ptr<Reader>> open(const std::filesystem::path& path,
                                              std::optional<std::string_view> passphrase = std::nullopt);

  const Header& header() const { return header_; }
  const Manifest& manifest() const { return manifest_; }
  std::uint64_t file_size() const { return file_.size(); }

  // Reads all, and checks every member's digest and the sum of all.
  Result<> verify(const Progress& on_progress = {}) const;
  // Into `folder`, made if it is not there. FileInTheWay, NoSpace. On an error nothing of what it wrote
  // stays; when it is done, all is on disk and was checked as verify() does.
  Result<> extract_all(const std::filesystem::path& folder, const Progress& on_progress = {}) const;
  // A member of at most `most` bytes, into memory.
  Result<std::string> read(std::string_view member, std::size_t most) const;
  // One member; NotFound if it is none. What stands behind it is not read.
  Result<> extract(std::string_view member, const std::filesystem::path& folder,
                   const Progress& on_progress = {}) const;

 private:
  // A file to write a member to, or none.
  using Destination = std::function<Result<std::optional<File>>(const Member&)>;

  Reader(File file, const HeaderBytes& bytes, const Header& header)
      : file_(std::move(file)), bytes_(bytes), header_(header) {}
  Result<> read_manifest();
  // All members up to `last`, or all and the sum if it is empty.
  Result<> walk(const Destination& destination, std::string_view last, const Progress& on_progress) const;

  File file_;
  HeaderBytes bytes_;
  Header header_;
  std::optional<FileKey> key_;
  Manifest manifest_;
};

}  // namespace rusternetes::launcher::snapshot
