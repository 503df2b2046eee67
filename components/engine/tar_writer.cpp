#include "engine/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

namespace rusternetes::engine {
namespace {

constexpr std::size_t piece_bytes = 256 << 10;

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

struct TarWriter::Target {
  ByteSink sink;
  std::optional<Status> error;  // the sink's; after it nothing reaches the sink any more

  // libarchive 3.6 leaks what it holds once it hears of a failed write: it hears of none, and each step of
  // the writer looks here.
  static la_ssize_t write(struct archive*, void* self, const void* bytes, size_t size) {
    auto& target = *static_cast<Target*>(self);
    if (!target.error)
      if (auto written = target.sink({static_cast<const char*>(bytes), size}); !written)
        target.error = std::move(written).error();
    return static_cast<la_ssize_t>(size);
  }
};

TarWriter::TarWriter(ByteSink sink)
    : target_(new Target{std::move(sink), {}}), archive_(::archive_write_new(), &::archive_write_free) {
  // pax only where ustar cannot say it: plain entries stay readable by everything.
  ::archive_write_set_format_pax_restricted(archive_.get());
  ::archive_write_set_bytes_per_block(archive_.get(), 0);
  ::archive_write_open(archive_.get(), target_.get(), nullptr, &Target::write, nullptr);
}
TarWriter::~TarWriter() {
  // What libarchive still adds to an archive that was given up is nobody's.
  if (!target_->error) target_->error = internal_error("given up");
}

Result<void> TarWriter::check(bool is_written) const {
  if (target_->error) return *target_->error;
  if (is_written) return {};
  const char* text = ::archive_error_string(archive_.get());
  return internal_error("tar " + path_ + ": " + (text ? text : "unknown"));
}

Result<void> TarWriter::begin(const LayerEntry& item, std::uint64_t size) {
  path_ = item.path;
  left_ = item.kind == LayerEntry::Kind::file ? size : 0;
  std::unique_ptr<archive_entry, decltype(&::archive_entry_free)> entry(::archive_entry_new(),
                                                                        &::archive_entry_free);
  const bool is_directory = item.kind == LayerEntry::Kind::directory;
  ::archive_entry_set_pathname(entry.get(), (is_directory ? item.path + "/" : item.path).c_str());
  ::archive_entry_set_perm(entry.get(), item.mode);
  ::archive_entry_set_uid(entry.get(), item.uid);
  ::archive_entry_set_gid(entry.get(), item.gid);
  ::archive_entry_set_mtime(entry.get(), 0, 0);  // the same input, the same digest
  if (item.kind == LayerEntry::Kind::symlink) {
    ::archive_entry_set_filetype(entry.get(), AE_IFLNK);
    ::archive_entry_set_symlink(entry.get(), item.content.c_str());
  } else {
    ::archive_entry_set_filetype(entry.get(), is_directory ? AE_IFDIR : AE_IFREG);
  }
  ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(left_));
  return check(::archive_write_header(archive_.get(), entry.get()) == ARCHIVE_OK);
}

Result<void> TarWriter::write(std::string_view piece) {
  if (piece.empty()) return {};
  if (piece.size() > left_) return other_size();
  left_ -= piece.size();
  return check(::archive_write_data(archive_.get(), piece.data(), piece.size()) ==
               static_cast<la_ssize_t>(piece.size()));
}

Result<void> TarWriter::end() {
  if (left_ != 0) return other_size();
  return {};
}

Status TarWriter::other_size() const {
  return {409, "Conflict", "tar " + path_ + ": it has not the size that was announced any more", nullptr};
}

Result<void> TarWriter::add(const LayerEntry& item, std::string_view content) {
  if (item.kind != LayerEntry::Kind::file) content = {};
  RN_CHECK(begin(item, content.size()));
  RN_CHECK(write(content));
  return end();
}

Result<void> TarWriter::finish() {
  path_ = "end of archive";
  return check(::archive_write_close(archive_.get()) == ARCHIVE_OK);
}

Result<void> add_host_file(TarWriter& writer, const LayerEntry& item) {
  const std::string& path = item.host_path;
  const auto has_changed = [&path] {
    return Status{409, "Conflict", path + " changed while it was read", nullptr};
  };
  const OpenFile file(path);
  struct stat info {};
  if (file.fd() < 0) return errno_error("open " + path, errno);
  if (::fstat(file.fd(), &info) != 0) return errno_error("stat " + path, errno);
  if (!S_ISREG(info.st_mode)) return internal_error(path + " is not a file");
  auto left = static_cast<std::uint64_t>(info.st_size);
  RN_CHECK(writer.begin(item, left));
  std::vector<char> buffer(piece_bytes);
  for (;;) {
    const ssize_t got = ::read(file.fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read " + path, errno);
    if (got == 0) break;
    if (static_cast<std::uint64_t>(got) > left) return has_changed();
    left -= static_cast<std::uint64_t>(got);
    RN_CHECK(writer.write({buffer.data(), static_cast<std::size_t>(got)}));
  }
  if (left != 0) return has_changed();
  return writer.end();
}

}  // namespace rusternetes::engine
