#include "launcher/snapshot/reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <variant>
#include <vector>

#include "launcher/snapshot/archive_in.h"
#include "launcher/snapshot/body.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/new_files.h"

namespace rusternetes::launcher::snapshot {
namespace {

namespace fs = std::filesystem;

struct Frame {
  File file;
  HeaderBytes bytes{};
  Header header;
};

Status fault_of(const fs::path& path, const BadHeader& bad) {
  switch (bad.fault) {
    case HeaderFault::foreign:
      return foreign(path);
    case HeaderFault::cut_short:
      return cut_short(path);
    case HeaderFault::damaged:
      return damaged(path, "its header");
    case HeaderFault::newer:
      return newer(path, bad.format);
  }
  return foreign(path);
}

// The clear parts: the header, and whether the file has the length that its end tells.
Result<Frame> open_frame(const fs::path& path) {
  RN_TRY(File file, File::open(path));
  Frame frame{std::move(file)};
  RN_TRY(const std::size_t got, frame.file.read_at(0, frame.bytes));
  const auto read = read_header(Bytes(frame.bytes).first(got));
  if (const auto* bad = std::get_if<BadHeader>(&read)) return fault_of(path, *bad);
  frame.header = std::get<Header>(read);
  const std::uint64_t size = frame.file.size();
  if (size <= header_size + trailer_size) return cut_short(path);
  TrailerBytes end;
  RN_TRY(const std::size_t at_end, frame.file.read_at(size - trailer_size, end));
  const TrailerBytes wanted = begin_trailer(size);
  if (at_end < end.size() ||
      !std::equal(wanted.begin(), wanted.begin() + summed_part_of_trailer, end.begin()))
    return cut_short(path);
  return frame;
}

Status no_such_member(const fs::path& snapshot, std::string_view name) {
  return failed(reason::not_found, fmt::format("{} holds no {}: `snapshot inspect` lists what it holds",
                                               snapshot.string(), name));
}

Result<> read_member(ArchiveIn& in, const Member& member, File* to, std::uint64_t& done,
                     const std::function<void()>& on_piece) {
  std::vector<std::uint8_t> piece(piece_size);
  Sha256 sum;
  std::uint64_t size = 0;
  while (true) {
    RN_TRY(const std::size_t got, in.read(piece));
    if (got == 0) break;
    size += got;
    done += got;
    if (size > member.size) return in.broken("it is longer than snapshot.json says");
    const Bytes bytes = Bytes(piece).first(got);
    sum.add(bytes);
    if (to != nullptr) RN_CHECK(to->write(bytes));
    on_piece();
  }
  if (size != member.size) return in.broken("it is shorter than snapshot.json says");
  if (hex(sum.finish()) != member.sha256) return in.broken("its content is not what was written");
  if (to != nullptr && ::fsync(to->fd()) != 0) return file_error("write", to->path(), errno);
  return {};
}

}  // namespace

Result<Overview> inspect(const fs::path& path, std::optional<std::string_view> passphrase) {
  RN_TRY(const Frame frame, open_frame(path));
  Overview overview{
      frame.header.format, frame.header.is_encrypted, frame.header.created_at_s, frame.file.size(), {}};
  if (frame.header.is_encrypted && !passphrase) return overview;
  RN_TRY(const auto reader, Reader::open(path, passphrase));
  overview.manifest = reader->manifest();
  return overview;
}

Result<> check_sum(const fs::path& path) {
  RN_TRY(const Frame frame, open_frame(path));
  return BodySource(frame.file, frame.bytes, nullptr).finish();
}

Result<std::unique_ptr<Reader>> Reader::open(const fs::path& path,
                                             std::optional<std::string_view> passphrase) {
  RN_TRY(Frame frame, open_frame(path));
  if (frame.header.is_encrypted && !passphrase) return passphrase_needed(path);
  std::unique_ptr<Reader> reader(new Reader(std::move(frame.file), frame.bytes, frame.header));
  if (frame.header.is_encrypted) {
    RN_TRY(reader->key_, FileKey::derive(*passphrase, frame.header.salt, frame.header.cost));
    const Sum proof = reader->key_->proof(proven_part(frame.bytes));
    if (CRYPTO_memcmp(proof.data(), frame.header.proof.data(), proof.size()) != 0)
      return passphrase_wrong(path);
  }
  RN_CHECK(reader->read_manifest());
  return reader;
}

Result<> Reader::read_manifest() {
  BodySource source(file_, bytes_, key_ ? &*key_ : nullptr);
  ArchiveIn in(source, file_.path());
  RN_TRY(const bool is_there, in.next());
  if (!is_there || in.name() != manifest_name || in.size() > longest_manifest)
    return in.broken("it does not begin with snapshot.json");
  std::string text(static_cast<std::size_t>(in.size()), '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    RN_TRY(const std::size_t more,
           in.read({reinterpret_cast<std::uint8_t*>(text.data()) + got, text.size() - got}));
    if (more == 0) return in.broken("it ends too early");
    got += more;
  }
  if (!header_.is_encrypted && sha256(bytes_of(text)) != header_.proof)
    return in.broken("its content is not what was written");
  auto manifest = parse_manifest(text);
  if (!manifest) return in.broken(manifest.error().message);
  manifest_ = *std::move(manifest);
  if (manifest_.format != header_.format || manifest_.description.created_at_s != header_.created_at_s)
    return in.broken("it is of another snapshot than the header");
  return {};
}

Result<> Reader::walk(const Destination& destination, std::string_view last,
                      const Progress& on_progress) const {
  BodySource source(file_, bytes_, key_ ? &*key_ : nullptr);
  ArchiveIn in(source, file_.path());
  std::uint64_t all = 0;
  for (const Member& member : manifest_.members) all += member.size;
  std::uint64_t done = 0;
  RN_TRY(const bool has_manifest, in.next());
  if (!has_manifest) return in.broken("it is empty");
  for (const Member& member : manifest_.members) {
    RN_TRY(const bool is_there, in.next());
    if (!is_there) return in.broken(fmt::format("{} does not follow", member.name));
    if (in.name() != member.name || in.size() != member.size)
      return in.broken(fmt::format("snapshot.json has {} with {} bytes here", member.name, member.size));
    RN_TRY(std::optional<File> to, destination(member));
    RN_CHECK(read_member(in, member, to ? &*to : nullptr, done, [&] {
      if (on_progress) on_progress(done, all);
    }));
    if (member.name == last) return {};
  }
  RN_TRY(const bool is_more, in.next());
  if (is_more) return in.broken("snapshot.json does not name it");
  source.set_part("its end");
  return source.finish();
}

Result<> Reader::verify(const Progress& on_progress) const {
  return walk([](const Member&) -> Result<std::optional<File>> { return std::optional<File>(); }, "",
              on_progress);
}

Result<> Reader::extract_all(const fs::path& folder, const Progress& on_progress) const {
  RN_TRY(NewFiles files, NewFiles::in(folder));
  const auto create = [&](const Member& member) -> Result<std::optional<File>> {
    RN_TRY(File file, files.create(member.name));
    return std::optional<File>(std::move(file));
  };
  RN_CHECK(walk(create, "", on_progress));
  return files.keep();
}

Result<std::string> Reader::read(std::string_view wanted, std::size_t most) const {
  const auto found = std::find_if(manifest_.members.begin(), manifest_.members.end(),
                                  [&](const Member& member) { return member.name == wanted; });
  if (found == manifest_.members.end()) return no_such_member(file_.path(), wanted);
  if (found->size > most) return damaged(file_.path(), wanted);
  // A file that no folder has.
  const int fd = ::memfd_create("member", MFD_CLOEXEC);
  if (fd < 0) return file_error("make room for", file_.path(), errno);
  const File memory(fd, file_.path());
  const auto create = [&](const Member& member) -> Result<std::optional<File>> {
    if (member.name != wanted) return std::optional<File>();
    const int copy = ::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return file_error("make room for", file_.path(), errno);
    return std::optional<File>(File(copy, file_.path()));
  };
  RN_CHECK(walk(create, wanted, {}));
  std::string text(static_cast<std::size_t>(found->size), '\0');
  RN_TRY(const std::size_t got,
         memory.read_at(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  if (got != text.size()) return damaged(file_.path(), wanted);
  return text;
}

Result<> Reader::extract(std::string_view wanted, const fs::path& folder, const Progress& on_progress) const {
  if (std::none_of(manifest_.members.begin(), manifest_.members.end(),
                   [&](const Member& member) { return member.name == wanted; }))
    return no_such_member(file_.path(), wanted);
  RN_TRY(NewFiles files, NewFiles::in(folder));
  const auto create = [&](const Member& member) -> Result<std::optional<File>> {
    if (member.name != wanted) return std::optional<File>();
    RN_TRY(File file, files.create(member.name));
    return std::optional<File>(std::move(file));
  };
  RN_CHECK(walk(create, wanted, on_progress));
  return files.keep();
}

}  // namespace rusternetes::launcher::snapshot
