#pragma once
// What was written is to be there after the power has failed.

#include <filesystem>

#include "base/status.h"

namespace rusternetes {

// What the file holds. Blocking, as the other one is; errors name the path.
Result<void> sync_file(const std::filesystem::path& path);
// That the file is there under this name (or is not): after it was made, linked, renamed or removed.
Result<void> sync_folder_of(const std::filesystem::path& path);

}  // namespace rusternetes
