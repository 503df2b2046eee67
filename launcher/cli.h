#pragma once
// From argv to an exit code.

#include <string>
#include <vector>

#include "launcher/environment.h"

namespace rusternetes::launcher {

// Parses, runs and reports. `words` is argv without the program's name. An error is one sentence and its
// advice on the error stream, or, with --output json, an object with id, message, advice and exitCode on the
// other.
int run(const std::vector<std::string>& words, Environment& environment);

}  // namespace rusternetes::launcher
