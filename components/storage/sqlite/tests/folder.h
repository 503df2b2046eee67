#pragma once
// A folder of a test's own, and what is in it.

#include <filesystem>
#include <map>
#include <string>

#include "storage/sqlite/sqlite_store.h"
#include "support/folder.h"

namespace rusternetes::storage::testing {

using rusternetes::testing::read_file;
using rusternetes::testing::write_file;

struct Folder : rusternetes::testing::Folder {
  Folder() : rusternetes::testing::Folder("store") {}
  std::string file() const { return path / "store.db"; }
};

// Every file of a folder with its bytes.
inline std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out[entry.path().filename()] = entry.is_regular_file() ? read_file(entry.path()) : "";
  return out;
}

inline Result<std::unique_ptr<sqlite::SqliteStore>> open_store(const std::string& file,
                                                               const std::string& vfs = {},
                                                               int checkpoint_pages = 2000) {
  sqlite::StoreOptions options;
  options.path = file;
  options.vfs = vfs;
  options.checkpoint_pages = checkpoint_pages;
  return sqlite::SqliteStore::open(options);
}

}  // namespace rusternetes::storage::testing
