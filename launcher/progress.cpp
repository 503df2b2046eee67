#include "launcher/progress.h"

#include <fmt/format.h>

#include <ostream>

namespace rusternetes::launcher {

void Progress::begin(std::string_view what) {
  current_ = what;
  started_ = clock_.steady_now();
  if (is_terminal_) out_ << " • " << current_ << " ..." << std::flush;
}

void Progress::done() { end("✓", "done"); }
void Progress::failed() { end("✗", "failed"); }

void Progress::end(std::string_view mark, std::string_view word) {
  if (current_.empty()) return;
  const auto taken =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady_now() - started_).count();
  if (is_terminal_)
    out_ << fmt::format("\r\x1b[K {} {} ({} ms)\n", mark, current_, taken) << std::flush;
  else
    out_ << fmt::format("{}: {} ({} ms)\n", current_, word, taken) << std::flush;
  current_.clear();
}

void Progress::note(std::string_view text) { out_ << text << '\n' << std::flush; }

}  // namespace rusternetes::launcher
