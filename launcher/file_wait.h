#pragma once
// Waiting for something to happen to a file, by inotify and a deadline.

#include <chrono>
#include <filesystem>
#include <functional>

#include "base/status.h"

namespace rusternetes::launcher {

// Calls `is_met` at once and again after each change in `folder`, until it is true or the time is over. Returns what it
// returned last. The folder must exist.
Result<bool> wait_for_folder(const std::filesystem::path& folder, std::chrono::milliseconds timeout,
                             const std::function<bool()>& is_met);

}  // namespace rusternetes::launcher
