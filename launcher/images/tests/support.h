#pragma once
// What the tests of this folder share.

#include <archive.h>
#include <archive_entry.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "pause/embedded_pause.h"
#include "support/folder.h"

namespace rusternetes::launcher::images {

namespace fs = std::filesystem;

using rusternetes::testing::Folder;
using rusternetes::testing::read_file;
using rusternetes::testing::write_file;

// A program with no loader, which would wait for ever if it were run.
inline std::string static_program() {
  const auto bytes = pause_binary();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct TarEntry {
  std::string content, link;
  unsigned mode = 0;
};
inline std::map<std::string, TarEntry> entries_of(const std::string& tar) {
  std::map<std::string, TarEntry> out;
  struct archive* reader = ::archive_read_new();
  ::archive_read_support_format_tar(reader);
  REQUIRE(::archive_read_open_memory(reader, tar.data(), tar.size()) == ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (::archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    TarEntry& found = out[::archive_entry_pathname(entry)];
    found.content.resize(static_cast<std::size_t>(::archive_entry_size(entry)));
    if (!found.content.empty())
      REQUIRE(::archive_read_data(reader, found.content.data(), found.content.size()) ==
              static_cast<la_ssize_t>(found.content.size()));
    if (::archive_entry_symlink(entry) != nullptr) found.link = ::archive_entry_symlink(entry);
    found.mode = ::archive_entry_perm(entry);
  }
  ::archive_read_free(reader);
  return out;
}

}  // namespace rusternetes::launcher::images
