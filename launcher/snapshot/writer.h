#pragma once
// Writes a snapshot. Nothing has its final name before all of it is on disk; what a killed writer left under
// the temporary name is replaced by the next one of the same path.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "launcher/snapshot/cipher.h"
#include "launcher/snapshot/manifest.h"

struct archive;

namespace rusternetes::launcher::snapshot {

class BodySink;

struct Encryption {
  std::string passphrase;  // not empty
  ScryptCost cost;         // less only in tests
};
// Bytes of content done, and of all.
using Progress = std::function<void(std::uint64_t done, std::uint64_t all)>;

// PATH.partial, which a killed writer leaves.
std::filesystem::path partial_path(const std::filesystem::path& path);

// Blocking. Destroyed unfinished, it leaves nothing.
class Writer {
 public:
  // FileInTheWay: there is something at `path`; Conflict: another writer is at it; BadRequest: no passphrase.
  static Result<std::unique_ptr<Writer>> create(const std::filesystem::path& path, Description description,
                                                std::optional<Encryption> encryption = std::nullopt);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Reads `source` once now, for its digest, and once more by finish(), which refuses it if it has changed.
  Result<> add_file(std::string member, const std::filesystem::path& source);
  // Kept in memory until finish(): for what is small.
  Result<> add_bytes(std::string member, std::string content);
  // Once. Members are in the order in which they were added. On an error nothing has the final name.
  Result<Manifest> finish(const Progress& on_progress = {});

 private:
  using Source = std::variant<std::filesystem::path, std::string>;
  Writer(std::filesystem::path path, File partial, Description description,
         std::optional<Encryption> encryption);
  Result<> add(Member member, Source source);
  Result<> write_members(archive* out, std::string_view manifest, const Progress& on_progress);
  Result<> write_archive(BodySink& sink, std::string_view manifest, const Progress& on_progress);
  Result<> publish();

  std::filesystem::path path_;
  File partial_;
  bool is_named_ = false;  // the partial file has the final name
  std::optional<Encryption> encryption_;
  Manifest manifest_;
  std::vector<Source> sources_;
};

}  // namespace rusternetes::launcher::snapshot
