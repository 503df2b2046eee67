#pragma once
// The program that a supervisor starts first: it waits until the launcher has made the node's links and drop
// rules, and becomes the cluster's process. A supervisor that init or a user starts anew has an empty
// namespace, and its child is held again.

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

// The word in argv[1] that makes rusternetes-ctl this program: `rusternetes-ctl hold-process FILE`.
inline constexpr const char* hold_word = "hold-process";

// Program and arguments of the cluster's process, beside FILE: read anew at each start, so that one that is restarted
// may be another one. JSON, an array of words.
std::filesystem::path command_file_of(const std::filesystem::path& file);
Result<> write_command(const std::filesystem::path& file, const std::vector<std::string>& command);

// Stands for one life of one process on one boot of the host. Empty when there is no such process.
std::string life_of(int pid);

// Waits until FILE holds the parent's life_of(), replaces `{node-netns}` in the arguments of command_file_of() by the
// value of RUSTERNETES_NODE_NETNS and executes the program. Returns only on failure, with an exit code.
int run_hold(int argc, char** argv);

}  // namespace rusternetes::launcher
