#pragma once
// What the user sees while steps run: on a terminal a line that turns from a dot into a check mark, elsewhere
// one plain line a step. Always on the error stream; results go to the other one.

#include <chrono>
#include <iosfwd>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace rusternetes::launcher {

class Progress {
 public:
  Progress(std::ostream& out, bool is_terminal, const Clock& clock)
      : out_(out), is_terminal_(is_terminal), clock_(clock) {}
  void begin(std::string_view what);
  void done();
  void failed();
  // A line of its own, between steps.
  void note(std::string_view text);

 private:
  void end(std::string_view mark, std::string_view word);
  std::ostream& out_;
  bool is_terminal_;
  const Clock& clock_;
  std::string current_;
  SteadyTime started_;
};

}  // namespace rusternetes::launcher
