#pragma once
// Durations as kubectl writes them.

#include <chrono>
#include <string_view>

#include "base/status.h"

namespace rusternetes {

// Go's form: "90s", "1m30s", "1.5h", "250ms", "0". BadRequest otherwise, and for more than a year.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace rusternetes
