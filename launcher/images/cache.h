#pragma once
// What files of this host turned out to be, so that the next command need not read them again: a small file
// of JSON. An entry counts only while every file it was made from is the same one, by device, inode, size and
// times. Missing, damaged or of another release it is as if empty.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/image_builder.h"
#include "launcher/images/program.h"

namespace rusternetes::launcher::images {

// "DEVICE:INODE:SIZE:MTIME:CTIME" of the file that the path leads to; empty when there is none.
std::string file_state(const std::filesystem::path& path);

struct LayerFacts {
  std::string digest;
  std::uint64_t size = 0;
};

class Cache {
 public:
  // An empty path: nothing is kept.
  explicit Cache(std::filesystem::path path);

  std::optional<ProgramNeeds> needs(const std::filesystem::path& program) const;
  void remember(const std::filesystem::path& program, const ProgramNeeds& needs);

  // `key`: layer_key() of what the layer is made from.
  std::optional<LayerFacts> layer(const std::string& key) const;
  void remember(const std::string& key, const LayerFacts& facts);

  // Writes what is new, with mode 0600. A cache that cannot be written is only slower.
  void save();
  // The file goes, since what it says has proved wrong.
  void drop();

 private:
  struct Needs {
    std::string state;  // of the program and of all its files
    ProgramNeeds needs;
  };
  std::filesystem::path path_;
  std::map<std::string, Needs> needs_;        // by the program's path
  std::map<std::string, LayerFacts> layers_;  // by key
  bool is_changed_ = false;
};

// Names the entries and the state of every host file among them.
std::string layer_key(const std::vector<engine::LayerEntry>& entries);

}  // namespace rusternetes::launcher::images
