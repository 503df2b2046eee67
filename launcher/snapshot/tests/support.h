#pragma once
// What the tests of a snapshot share: a folder of their own, a small cluster to take one of, and files
// written otherwise than the Writer does.

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "launcher/snapshot/body.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/format.h"
#include "launcher/snapshot/reader.h"
#include "launcher/snapshot/writer.h"
#include "support/folder.h"

namespace rusternetes::launcher::snapshot {

namespace fs = std::filesystem;

using testing::Folder;
using testing::read_file;
inline fs::path write_file(const fs::path& path, const std::string& content) {
  testing::write_file(path, content);
  return path;
}

// Does not compress.
inline std::string noise(std::size_t size, std::uint64_t seed = 1) {
  std::string text(size, '\0');
  for (char& one : text) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    one = static_cast<char>(seed >> 56);
  }
  return text;
}

inline Description example() {
  return {"20261122-060000-a1b2", "rusternetes",     "all-in-one", "0.1.0",
          1'795'327'200,          StoreKind::sqlite, 4711,         42};
}

// Costs a test no time.
inline Encryption cheap(std::string passphrase) { return {std::move(passphrase), {4, 8, 1}}; }

using Files = std::map<std::string, std::string>;
inline const Files small_files{{"pki/ca.crt", "certificate"},
                               {"pki/ca.key", "THE-KEY-" + noise(64)},
                               {"settings.json", R"({"name":"rusternetes"})"},
                               {"store/empty", ""}};

// As a Writer makes it.
inline Result<Manifest> make(const fs::path& path, const Files& files,
                             std::optional<Encryption> encryption = std::nullopt) {
  RN_TRY(const auto writer, Writer::create(path, example(), std::move(encryption)));
  for (const auto& [name, content] : files) RN_CHECK(writer->add_bytes(name, content));
  return writer->finish();
}

// What is wrong with the file: the reason of what Reader::open or verify says; empty if it is whole.
inline std::string fault(const fs::path& path, std::optional<std::string_view> passphrase = std::nullopt) {
  const auto reader = Reader::open(path, passphrase);
  if (!reader) return reader.error().reason;
  const auto verified = (*reader)->verify();
  return verified ? "" : verified.error().reason;
}

inline Files read_folder(const fs::path& folder) {
  Files files;
  for (const auto& one : fs::recursive_directory_iterator(folder))
    if (one.is_regular_file()) files[fs::relative(one.path(), folder).string()] = read_file(one.path());
  return files;
}

// An archive's entry as somebody else might write it.
struct Entry {
  std::string name;
  std::string content;
  unsigned type = AE_IFREG;
  std::string link;       // where a symbolic link leads
  std::string hard_link;  // whose second name it is
};

inline std::string tar_zst(const std::vector<Entry>& entries, bool is_packed = true) {
  std::string packed;
  archive* out = archive_write_new();
  archive_write_set_format_pax_restricted(out);
  if (is_packed) archive_write_add_filter_zstd(out);
  archive_write_set_bytes_in_last_block(out, 1);
  REQUIRE(archive_write_open2(
              out, &packed, nullptr,
              [](archive*, void* data, const void* bytes, size_t size) {
                static_cast<std::string*>(data)->append(static_cast<const char*>(bytes), size);
                return static_cast<la_ssize_t>(size);
              },
              nullptr, nullptr) == ARCHIVE_OK);
  for (const Entry& one : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, one.name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(one.content.size()));
    archive_entry_set_filetype(entry, one.type);
    archive_entry_set_perm(entry, 0644);
    if (!one.link.empty()) archive_entry_set_symlink(entry, one.link.c_str());
    if (!one.hard_link.empty()) archive_entry_set_hardlink(entry, one.hard_link.c_str());
    REQUIRE(archive_write_header(out, entry) == ARCHIVE_OK);
    archive_write_data(out, one.content.data(), one.content.size());
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(out) == ARCHIVE_OK);
  archive_write_free(out);
  return packed;
}

// The frame around any body, all sums right: what only whoever means harm would write.
inline fs::path frame(const fs::path& path, const std::string& body, const std::string& manifest) {
  write_file(path, "");
  Header header;
  header.created_at_s = example().created_at_s;
  header.proof = sha256(bytes_of(manifest));
  File file(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path);
  BodySink sink(file, write_header(header), nullptr);
  REQUIRE(sink.begin());
  REQUIRE(sink.add(bytes_of(body)));
  REQUIRE(sink.finish());
  return path;
}

// Makes the sum of a changed file right again, so that what stands behind it must find the change.
inline std::string summed(std::string file) {
  const TrailerBytes trailer = begin_trailer(file.size());
  std::copy_n(trailer.begin(), summed_part_of_trailer, file.end() - trailer_size);
  const Sum sum = sha256(bytes_of(std::string_view(file).substr(0, file.size() - sizeof(Sum))));
  std::copy(sum.begin(), sum.end(), file.end() - sizeof(Sum));
  return file;
}

inline Member member(const std::string& name, const std::string& content) {
  return {name, content.size(), hex(sha256(bytes_of(content)))};
}

}  // namespace rusternetes::launcher::snapshot
