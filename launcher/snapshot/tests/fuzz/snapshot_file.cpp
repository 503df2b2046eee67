// A snapshot's file: whatever its bytes, it is read or refused, and what comes out of it stays in its folder.
// The first byte chooses what the others are: a whole file whose sums are mended; a tar archive that gets a
// frame; or one that is sealed, too.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "launcher/snapshot/body.h"
#include "launcher/snapshot/reader.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view passphrase = "p";

// A zstd frame (RFC 8878, 3.1.1) of raw blocks, so that what the fuzzer changes is what is in the archive.
std::string zstd_of(std::string_view content) {
  std::string packed("\x28\xb5\x2f\xfd\x00\x58", 6);  // a window of 2 MiB, no checksum
  do {
    const std::string_view block = content.substr(0, 64 << 10);
    content.remove_prefix(block.size());
    const auto head = static_cast<std::uint32_t>((content.empty() ? 1 : 0) | (block.size() << 3));
    for (int byte = 0; byte < 3; ++byte) packed += static_cast<char>(head >> (8 * byte));
    packed += block;
  } while (!content.empty());
  return packed;
}

// Nobody guesses a checksum, but whoever makes a file to harm computes it.
std::string mended(std::string file) {
  if (file.size() < header_size + trailer_size) return file;
  HeaderBytes header;
  std::copy_n(file.begin(), header_size, header.begin());
  header[27] = 1;  // scrypt's N, which costs time and finds nothing
  header[28] = std::min<std::uint8_t>(header[28], 9);
  header[29] = std::min<std::uint8_t>(header[29], 5);
  sum_header(header);
  std::copy(header.begin(), header.end(), file.begin());
  const TrailerBytes trailer = begin_trailer(file.size());
  std::copy_n(trailer.begin(), summed_part_of_trailer, file.end() - trailer_size);
  const Sum sum = sha256(bytes_of(std::string_view(file).substr(0, file.size() - sizeof(Sum))));
  std::copy(sum.begin(), sum.end(), file.end() - sizeof(Sum));
  return file;
}

// The first entry's content, if the archive is as short of ornament as ours: the header vouches for it.
std::string_view first_content(std::string_view tar) {
  if (tar.size() < 512) return "";
  std::size_t size = 0;
  for (const char digit : tar.substr(124, 11)) size = size * 8 + static_cast<std::size_t>((digit - '0') & 7);
  return tar.substr(512, std::min(size, tar.size() - 512));
}

void write_framed(int fd, std::string_view tar, bool is_sealed) {
  Header header;
  header.is_encrypted = is_sealed;
  header.cost = {1, 1, 1};
  header.created_at_s = 1'795'327'200;
  const auto key = FileKey::derive(passphrase, header.salt, header.cost);
  RN_ASSERT(key.has_value(), "no key");
  header.proof =
      is_sealed ? key->proof(proven_part(write_header(header))) : sha256(bytes_of(first_content(tar)));
  File file(::dup(fd), "fuzz");
  BodySink sink(file, write_header(header), is_sealed ? &*key : nullptr);
  RN_ASSERT(sink.begin() && sink.add(bytes_of(zstd_of(tar))) && sink.finish(), "no memory");
}

const fs::path& folder() {
  static const struct Made {
    fs::path path;
    Made() {
      std::string name = (fs::temp_directory_path() / "fuzz-snapshot-XXXXXX").string();
      path = ::mkdtemp(name.data());
    }
    ~Made() { fs::remove_all(path); }
  } made;
  return made.path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int fd = ::memfd_create("snapshot", MFD_CLOEXEC);
  RN_ASSERT(fd >= 0, "no memory");
  if (data[0] % 4 == 0) {
    const std::string file = mended(std::string(rest));
    RN_ASSERT(::write(fd, file.data(), file.size()) == static_cast<ssize_t>(file.size()), "no memory");
  } else {
    write_framed(fd, rest, data[0] % 4 == 1);
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto overview = inspect(path);
  const auto reader = Reader::open(path, passphrase);
  if (reader) {
    RN_ASSERT(overview.has_value(), "what can be opened can be listed");
    const auto again = parse_manifest(to_json((*reader)->manifest()));
    RN_ASSERT(again && *again == (*reader)->manifest(), "a manifest is read as it was written");
    const bool is_whole = (*reader)->verify().has_value();
    const auto out = (*reader)->extract_all(folder() / "out");
    RN_ASSERT(is_whole == out.has_value() || out.error().is("InternalError"),
              "one says whole, the other damaged");
    std::size_t files = 0;
    if (out) {
      for (const Member& member : (*reader)->manifest().members) {
        const auto info = fs::symlink_status(folder() / "out" / member.name);
        RN_ASSERT(fs::is_regular_file(info) && fs::file_size(folder() / "out" / member.name) == member.size,
                  "a member did not come out");
        ++files;
      }
      fs::remove_all(folder() / "out");
    }
    RN_ASSERT(fs::is_empty(folder()), "something is left, or was written beside the folder");
    RN_ASSERT(!is_whole || files == (*reader)->manifest().members.size(), "members are missing");
  }
  ::close(fd);
  return 0;
}
