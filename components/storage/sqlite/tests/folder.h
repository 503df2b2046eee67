#pragma once
// A folder of a test's own, and what is in it.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::storage::testing {

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "store-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return path / "store.db"; }
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(std::filesystem::file_size(path), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}
inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

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
