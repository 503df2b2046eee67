#include "launcher/snapshot/archive_in.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <cerrno>
#include <type_traits>

#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/manifest.h"

namespace rusternetes::launcher::snapshot {

static_assert(std::is_same_v<la_ssize_t, long>);

void ArchiveIn::Close::operator()(archive* one) const { archive_read_free(one); }

long ArchiveIn::give(archive* reader, void* self, const void** buffer) {
  auto& in = *static_cast<ArchiveIn*>(self);
  if (!in.source_state_) return -1;
  auto bytes = in.source_.next();
  if (!bytes) {
    in.source_state_ = bytes.error();
    archive_set_error(reader, EIO, "%s", "the snapshot cannot be read");
    return -1;
  }
  *buffer = bytes->data();
  return static_cast<long>(bytes->size());
}

ArchiveIn::ArchiveIn(BodySource& source, const std::filesystem::path& snapshot)
    : source_(source), snapshot_(snapshot), archive_(archive_read_new()) {
  RN_ASSERT(archive_ && archive_read_support_filter_zstd(archive_.get()) == ARCHIVE_OK &&
                archive_read_support_format_tar(archive_.get()) == ARCHIVE_OK,
            "libarchive has tar and zstd");
  is_open_ =
      archive_read_open2(archive_.get(), this, nullptr, &ArchiveIn::give, nullptr, nullptr) == ARCHIVE_OK;
}

std::string ArchiveIn::shown_name() const {
  if (name_.empty()) return "its beginning";
  return name_ == manifest_name || is_member_name(name_) ? name_ : "a member with a bad name";
}

Status ArchiveIn::broken(std::string_view why) const {
  return damaged(snapshot_, fmt::format("{}: {}", shown_name(), why));
}

Status ArchiveIn::failure() const {
  if (!source_state_) return source_state_.error();
  const char* said = archive_error_string(archive_.get());
  return broken(said == nullptr ? "the archive in it cannot be read" : said);
}

Result<bool> ArchiveIn::next() {
  if (!is_open_) return failure();
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return false;
  if (code != ARCHIVE_OK) return failure();
  if (archive_filter_code(archive_.get(), 0) != ARCHIVE_FILTER_ZSTD)
    return broken("it is not compressed by zstd");
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG ||
      archive_entry_hardlink(entry) != nullptr || archive_entry_symlink(entry) != nullptr ||
      archive_entry_sparse_count(entry) != 0 || !archive_entry_size_is_set(entry) ||
      archive_entry_size(entry) < 0)
    return broken("what follows is no ordinary file");
  name_ = name;
  size_ = static_cast<std::uint64_t>(archive_entry_size(entry));
  source_.set_part(shown_name());
  return true;
}

Result<std::size_t> ArchiveIn::read(std::span<std::uint8_t> into) {
  const la_ssize_t got = archive_read_data(archive_.get(), into.data(), into.size());
  if (got < 0) return failure();
  return static_cast<std::size_t>(got);
}

}  // namespace rusternetes::launcher::snapshot
