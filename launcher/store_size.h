#pragma once
// How much disk a cluster's store takes.

#include <cstdint>

#include "launcher/home.h"

namespace rusternetes::launcher {

// Of every file below data/, as long as they are; what cannot be read counts nothing.
std::uint64_t store_bytes(const ClusterPaths& paths);

}  // namespace rusternetes::launcher
