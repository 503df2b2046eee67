#include "launcher/bundle/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace rusternetes::launcher::bundle {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(archive* one) const { archive_write_free(one); }
  void operator()(archive_entry* one) const { archive_entry_free(one); }
};

Status archive_error(archive* out) {
  const char* said = archive_error_string(out);
  return internal_error(fmt::format("writing an archive: {}", said == nullptr ? "it failed" : said));
}

Result<> write_entry(archive* out, const std::string& name, const std::string& text, SystemTime now) {
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(text.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), std::chrono::system_clock::to_time_t(now), 0);
  if (archive_write_header(out, entry.get()) != ARCHIVE_OK) return archive_error(out);
  if (archive_write_data(out, text.data(), text.size()) != static_cast<la_ssize_t>(text.size()))
    return archive_error(out);
  return {};
}

Result<> write_to(int fd, std::string_view folder, const std::vector<Entry>& entries, SystemTime now) {
  const std::unique_ptr<archive, Free> out(archive_write_new());
  if (archive_write_set_format_pax_restricted(out.get()) != ARCHIVE_OK ||
      archive_write_add_filter_zstd(out.get()) != ARCHIVE_OK ||
      archive_write_open_fd(out.get(), fd) != ARCHIVE_OK)
    return archive_error(out.get());
  for (const Entry& one : entries)
    RN_CHECK(write_entry(out.get(), fmt::format("{}/{}", folder, one.name), one.text, now));
  if (archive_write_close(out.get()) != ARCHIVE_OK) return archive_error(out.get());
  return {};
}

}  // namespace

Result<> write_archive(const fs::path& file, std::string_view folder, const std::vector<Entry>& entries,
                       SystemTime now) {
  const fs::path partial = file.string() + ".partial";
  std::error_code ignored;
  fs::remove(partial, ignored);  // of one that was killed
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("write " + partial.string(), errno);
  Result<> result = write_to(fd, folder, entries, now);
  if (result && ::fsync(fd) != 0) result = errno_error("write " + partial.string(), errno);
  ::close(fd);
  // A name that is taken stays as it is.
  if (result && ::link(partial.c_str(), file.c_str()) != 0)
    result = errno == EEXIST ? Status(409, "Conflict", fmt::format("{} exists", file.string()))
                             : errno_error("write " + file.string(), errno);
  fs::remove(partial, ignored);
  return result;
}

}  // namespace rusternetes::launcher::bundle
