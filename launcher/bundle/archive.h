#pragma once
// A tar.zst of small texts.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace rusternetes::launcher::bundle {

struct Entry {
  std::string name;  // "logs/api-server.log"
  std::string text;
};

// A new file that its owner alone may read, whole or not there at all; `folder` stands before each name.
// Conflict where there is one already.
Result<> write_archive(const std::filesystem::path& file, std::string_view folder,
                       const std::vector<Entry>& entries, SystemTime now);

}  // namespace rusternetes::launcher::bundle
