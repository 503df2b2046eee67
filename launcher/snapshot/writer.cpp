#include "launcher/snapshot/writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/sync.h"
#include "launcher/snapshot/body.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/format.h"

namespace rusternetes::launcher::snapshot {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(archive* one) const { archive_write_free(one); }
  void operator()(archive_entry* one) const { archive_entry_free(one); }
};

// Between libarchive and the sink, whose Status it cannot carry.
struct Outlet {
  BodySink& sink;
  Result<> state;
};

la_ssize_t take(archive* out, void* data, const void* buffer, size_t size) {
  auto& outlet = *static_cast<Outlet*>(data);
  if (outlet.state) outlet.state = outlet.sink.add({static_cast<const std::uint8_t*>(buffer), size});
  if (outlet.state) return static_cast<la_ssize_t>(size);
  archive_set_error(out, EIO, "%s", "the snapshot cannot be written");
  return -1;
}

Status archive_error(archive* out) {
  const char* said = archive_error_string(out);
  return internal_error(fmt::format("writing an archive: {}", said == nullptr ? "it failed" : said));
}

Result<> begin_entry(archive* out, std::string_view name, std::uint64_t size, std::int64_t time_s) {
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), std::string(name).c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), time_s, 0);
  if (archive_write_header(out, entry.get()) != ARCHIVE_OK) return archive_error(out);
  return {};
}

Result<> put(archive* out, Bytes bytes) {
  if (bytes.empty()) return {};
  if (archive_write_data(out, bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()))
    return archive_error(out);
  return {};
}

Status changed(const fs::path& path) {
  return failed(reason::conflict,
                fmt::format("{} changed while the snapshot was made: stop what writes to it, and "
                            "make the snapshot again",
                            path.string()));
}

// By pieces, to the end that it had when it was opened. Another end: it has changed.
template <class Take>
Result<> read_all(const File& file, const Take& take_piece) {
  std::vector<std::uint8_t> piece(piece_size);
  std::uint64_t at = 0;
  while (true) {
    RN_TRY(const std::size_t got, file.read_at(at, piece));
    at += got;
    if (at > file.size() || (got < piece.size() && at < file.size())) return changed(file.path());
    RN_CHECK(take_piece(Bytes(piece).first(got)));
    if (got < piece.size()) return {};
  }
}

Result<> publish_name(const fs::path& partial, const fs::path& path) {
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return file_error("write", path, errno);
  // A file system that cannot: a second name is refused in the same way.
  if (::link(partial.c_str(), path.c_str()) != 0) return file_error("write", path, errno);
  ::unlink(partial.c_str());
  return {};
}

// A file that is new, ours alone, and locked for as long as it is open.
Result<File> make_partial(const fs::path& partial) {
  const auto busy = [&] {
    return failed(reason::conflict,
                  fmt::format("{} is being written by another process: wait for it, or choose another place",
                              partial.string()));
  };
  for (int attempt = 0; attempt < 2; ++attempt) {
    File file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), partial);
    if (file.fd() >= 0) {
      struct stat mine {};
      struct stat named {};
      // Between open and lock another one may have taken it for left behind.
      if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.fd(), &mine) != 0 ||
          ::lstat(partial.c_str(), &named) != 0 || mine.st_ino != named.st_ino)
        return busy();
      return file;
    }
    if (errno != EEXIST) return file_error("write", partial, errno);
    const File left(::open(partial.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), partial);
    struct stat info {};
    if (left.fd() < 0 || ::fstat(left.fd(), &info) != 0 || !S_ISREG(info.st_mode)) return in_the_way(partial);
    if (::flock(left.fd(), LOCK_EX | LOCK_NB) != 0) return busy();
    if (::unlink(partial.c_str()) != 0) return file_error("replace", partial, errno);
  }
  return busy();
}

}  // namespace

fs::path partial_path(const fs::path& path) { return path.string() + ".partial"; }

Result<std::unique_ptr<Writer>> Writer::create(const fs::path& path, Description description,
                                               std::optional<Encryption> encryption) {
  if (encryption && encryption->passphrase.empty())
    return failed(reason::bad_request, "the passphrase is empty: write one into its file");
  RN_ASSERT(!encryption || is_bearable(encryption->cost), "a cost that no reader bears");
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) return in_the_way(path);
  RN_TRY(File partial, make_partial(partial_path(path)));
  return std::unique_ptr<Writer>(
      new Writer(path, std::move(partial), std::move(description), std::move(encryption)));
}

Writer::Writer(fs::path path, File partial, Description description, std::optional<Encryption> encryption)
    : path_(std::move(path)), partial_(std::move(partial)), encryption_(std::move(encryption)) {
  manifest_.format = newest_format;
  manifest_.description = std::move(description);
}

Writer::~Writer() {
  if (!is_named_) ::unlink(partial_path(path_).c_str());
  if (encryption_) OPENSSL_cleanse(encryption_->passphrase.data(), encryption_->passphrase.size());
}

Result<> Writer::add(Member member, Source source) {
  if (!is_member_name(member.name))
    return failed(
        reason::bad_request,
        fmt::format("a snapshot cannot hold a file named \"{}\": use letters, digits, '.', '_' and '-'",
                    member.name));
  manifest_.members.push_back(std::move(member));
  if (!can_stand_together(manifest_.members)) {
    const Status refused =
        failed(reason::bad_request,
               fmt::format("a snapshot cannot hold {} beside the others: it has the name already, or "
                           "too many members",
                           manifest_.members.back().name));
    manifest_.members.pop_back();
    return refused;
  }
  sources_.push_back(std::move(source));
  return {};
}

Result<> Writer::add_file(std::string member, const fs::path& source) {
  RN_TRY(const File file, File::open(source));
  Sha256 sum;
  RN_CHECK(read_all(file, [&](Bytes piece) -> Result<> {
    sum.add(piece);
    return {};
  }));
  return add({std::move(member), file.size(), hex(sum.finish())}, source);
}

Result<> Writer::add_bytes(std::string member, std::string content) {
  const Sum sum = sha256(bytes_of(content));
  return add({std::move(member), content.size(), hex(sum)}, std::move(content));
}

Result<> Writer::write_members(archive* out, std::string_view manifest, const Progress& on_progress) {
  const std::int64_t time_s = manifest_.description.created_at_s;
  std::uint64_t all = 0;
  for (const Member& member : manifest_.members) all += member.size;
  RN_CHECK(begin_entry(out, manifest_name, manifest.size(), time_s));
  RN_CHECK(put(out, bytes_of(manifest)));
  std::uint64_t done = 0;
  for (std::size_t at = 0; at < sources_.size(); ++at) {
    const Member& member = manifest_.members[at];
    RN_CHECK(begin_entry(out, member.name, member.size, time_s));
    if (const auto* content = std::get_if<std::string>(&sources_[at])) {
      RN_CHECK(put(out, bytes_of(*content)));
      done += content->size();
      continue;
    }
    RN_TRY(const File file, File::open(std::get<fs::path>(sources_[at])));
    if (file.size() != member.size) return changed(file.path());
    Sha256 sum;
    RN_CHECK(read_all(file, [&](Bytes piece) -> Result<> {
      sum.add(piece);
      done += piece.size();
      if (on_progress) on_progress(done, all);
      return put(out, piece);
    }));
    if (hex(sum.finish()) != member.sha256) return changed(file.path());
  }
  return {};
}

Result<> Writer::write_archive(BodySink& sink, std::string_view manifest, const Progress& on_progress) {
  Outlet outlet{sink, {}};
  const std::unique_ptr<archive, Free> out(archive_write_new());
  RN_ASSERT(out && archive_write_set_format_pax_restricted(out.get()) == ARCHIVE_OK &&
                archive_write_add_filter_zstd(out.get()) == ARCHIVE_OK,
            "libarchive has tar and zstd");
  archive_write_set_bytes_per_block(out.get(), piece_size);
  archive_write_set_bytes_in_last_block(out.get(), 1);
  Result<> written;
  if (archive_write_open2(out.get(), &outlet, nullptr, take, nullptr, nullptr) != ARCHIVE_OK)
    written = archive_error(out.get());
  if (written) written = write_members(out.get(), manifest, on_progress);
  if (written && archive_write_close(out.get()) != ARCHIVE_OK) written = archive_error(out.get());
  // What the sink says is the cause of what libarchive says.
  RN_CHECK(outlet.state);
  return written;
}

Result<Manifest> Writer::finish(const Progress& on_progress) {
  RN_ASSERT(!is_named_, "a snapshot is finished once");
  const std::string json = to_json(manifest_);
  // What could not be read again is not written.
  if (const auto again = parse_manifest(json);
      !again || !(*again == manifest_) || json.size() > longest_manifest)
    return failed(reason::bad_request,
                  "a snapshot cannot hold such names or numbers: look at the cluster's settings");
  Header header;
  header.is_encrypted = encryption_.has_value();
  header.created_at_s = manifest_.description.created_at_s;
  std::optional<FileKey> key;
  if (encryption_) {
    header.cost = encryption_->cost;
    if (RAND_bytes(header.salt.data(), static_cast<int>(header.salt.size())) != 1)
      return internal_error("there are no random bytes to encrypt with");
    RN_TRY(key, FileKey::derive(encryption_->passphrase, header.salt, header.cost));
    header.proof = key->proof(proven_part(write_header(header)));
  } else {
    header.proof = sha256(bytes_of(json));
  }
  BodySink sink(partial_, write_header(header), key ? &*key : nullptr);
  RN_CHECK(sink.begin());
  RN_CHECK(write_archive(sink, json, on_progress));
  RN_CHECK(sink.finish());
  RN_CHECK(publish());
  return manifest_;
}

Result<> Writer::publish() {
  // A full disk may show only now, and is told as such.
  if (::fdatasync(partial_.fd()) != 0) return file_error("write", partial_.path(), errno);
  RN_CHECK(sync_file(partial_.path()));
  RN_CHECK(publish_name(partial_.path(), path_));
  is_named_ = true;
  if (auto synced = sync_folder_of(path_); !synced) {
    ::unlink(path_.c_str());
    return synced;
  }
  return {};
}

}  // namespace rusternetes::launcher::snapshot
