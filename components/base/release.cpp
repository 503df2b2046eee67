#include "base/release.h"

#include <fmt/format.h>

namespace rusternetes {

std::string_view release_version() { return RUSTERNETES_VERSION; }

std::string version_line(std::string_view program) {
  return fmt::format("Kubernetes {} ({} of rusternetes {})", kubernetes_release, program, release_version());
}

}  // namespace rusternetes
