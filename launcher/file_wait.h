#pragma once
// Waiting for something to happen to a file, by inotify and a deadline.

#include <chrono>
#include <filesystem>
#include <functional>

#include "base/status.h"

namespace rusternetes::launcher {

// Calls `is_met` at once and again after each change in `folder`, until it is true or the time is over.
// Returns what it returned last. The folder must exist. `also`, if it is a descriptor, is another event to
// look after: it ends the wait once it is readable, as a pidfd is when its process has ended.
Result<bool> wait_for_folder(const std::filesystem::path& folder, std::chrono::milliseconds timeout,
                             const std::function<bool()>& is_met, int also = -1);

}  // namespace rusternetes::launcher
