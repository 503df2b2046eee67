#pragma once
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::controller_manager {

// The first range of /`mask_size` within `cluster` that overlaps none of `taken`. An error when all are
// given.
Result<std::string> free_node_range(const std::string& cluster, int mask_size,
                                    const std::vector<std::string>& taken);
// Whether `range` overlaps none of `taken`.
bool is_free_range(const std::string& range, const std::vector<std::string>& taken);

}  // namespace rusternetes::controller_manager
