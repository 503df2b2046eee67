#include "launcher/store_size.h"

namespace rusternetes::launcher {

namespace fs = std::filesystem;

std::uint64_t store_bytes(const ClusterPaths& paths) {
  std::uint64_t out = 0;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(paths.data(), error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone)) continue;
    const auto size = at->file_size(gone);
    if (!gone) out += size;
  }
  return out;
}

}  // namespace rusternetes::launcher
