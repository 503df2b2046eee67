#pragma once
// The whole program on the real host: what main() does, with hooks for tests.

#include <filesystem>

#include "launcher/hooks.h"

namespace rusternetes::launcher {

// `binary_dir` empty: where this executable is. Returns the exit code.
int run_program_main(int argc, char** argv, Hooks& hooks, std::filesystem::path binary_dir = {});

}  // namespace rusternetes::launcher
