#pragma once
// The program that a supervisor starts first: it waits until the launcher has made the node's links and drop
// rules, and becomes the cluster's process. A supervisor that init or a user starts anew has an empty
// namespace, and its child is held again.

#include <filesystem>
#include <string>

#include "base/status.h"

namespace rusternetes::launcher {

// The word in argv[1] that makes rusternetes-ctl this program: `rusternetes-ctl hold-process FILE -- PROGRAM
// ARGS...`.
inline constexpr const char* hold_word = "hold-process";

// Stands for one life of one process on one boot of the host. Empty when there is no such process.
std::string life_of(int pid);

// Waits until FILE holds the parent's life_of(), replaces `{node-netns}` in the arguments by the value of
// RUSTERNETES_NODE_NETNS and executes the program. Returns only on failure, with an exit code.
int run_hold(int argc, char** argv);

}  // namespace rusternetes::launcher
