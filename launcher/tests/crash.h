#pragma once
// Killing the launcher at a point, and hearing from the next command what it made of that.

#include <sys/wait.h>

#include "support/share.h"
#include "world.h"

namespace rusternetes::launcher::testing {

using Words = std::vector<std::string>;

// From one point that is tried to the next: with the whole share every one is.
inline int stride(int usual) { return rusternetes::testing::share() < 1 ? usual : 1; }

// Runs a command in a process of its own that dies at its n-th point. True when it got that far.
inline bool crashes_at(World& world, const Words& words, int n) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    world.hooks.crash_at = n;
    world.hooks.seen = 0;
    const int code = world.run(words);
    ::_exit(code == 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  const int code = WEXITSTATUS(status);
  REQUIRE((code == 137 || code == 0));
  return code == 137;
}

inline void delete_and_check(World& world, const Words& words = {"delete", "a", "--yes"}) {
  const int code = world.run(words);
  INFO(world.err.str());
  REQUIRE(code == 0);
  world.check_nothing_is_left();
}

// What the next command said about the interrupted one. Nothing is said when nothing had been journaled.
inline std::string verdict(World& world) {
  const std::string text = world.err.str();
  if (text.find("finishing it") != std::string::npos) return "finished";
  if (text.find("undoing it") != std::string::npos) return "undone";
  return "";
}

}  // namespace rusternetes::launcher::testing
