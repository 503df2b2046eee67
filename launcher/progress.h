#pragma once
// What the user sees while steps run: on a terminal a line that turns from a dot into a check mark, elsewhere
// one plain line a step. A step that takes over a second also says that it is under way, and how far it is.
// Always on the error stream; results go to the other one.

#include <chrono>
#include <condition_variable>
#include <iosfwd>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"

namespace rusternetes::launcher {

class Progress {
 public:
  Progress(std::ostream& out, bool is_terminal, const Clock& clock,
           std::chrono::milliseconds tick = std::chrono::seconds(1))
      : out_(out), is_terminal_(is_terminal), clock_(clock), tick_(tick) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void begin(std::string_view what);
  // How far the step is: "2 of 5 ended". Shown from the next tick on.
  void detail(std::string text);
  void done();
  void failed();
  // A line of its own; while a step is under way, above the step's.
  void note(std::string_view text);

 private:
  void end(std::string_view mark, std::string_view word);
  void tick();
  void show_running();
  std::ostream& out_;
  bool is_terminal_;
  const Clock& clock_;
  std::chrono::milliseconds tick_;

  // The ticking thread and the command share what follows; it also writes to out_, under the same lock.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread ticker_;  // started by the first step
  bool is_ending_ = false;
  long step_ = 0;
  std::string current_;
  std::string detail_;
  std::string shown_detail_;
  bool is_shown_ = false;  // where there is no terminal: that this step is under way
  SteadyTime started_;
  SteadyTime shown_at_;
};

}  // namespace rusternetes::launcher
