#pragma once
#include <string>

namespace rusternetes::kubelet {

// The last 80 lines, at most 2048 bytes, of a container's output, for terminationMessagePolicy FallbackToLogsOnError.
// Blocking; empty when the log cannot be read.
std::string end_of_log(const std::string& path);

}  // namespace rusternetes::kubelet
