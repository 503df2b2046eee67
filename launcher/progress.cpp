#include "launcher/progress.h"

#include <fmt/format.h>

#include <ostream>

namespace rusternetes::launcher {
namespace {

// How often a plain line may repeat that a step is under way, when it got further.
constexpr std::chrono::seconds plain_interval{10};

// A terminal would break a longer line in two, of which the next tick replaces only the second.
constexpr std::size_t row_columns = 79;

std::string in_a_row(const std::string& text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;  // goes on with a UTF-8 character
    if (++columns > row_columns) return text.substr(0, at);
  }
  return text;
}

}  // namespace

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Progress::begin(std::string_view what) {
  {
    const std::lock_guard lock(mutex_);
    current_ = what;
    detail_.clear();
    shown_detail_.clear();
    is_shown_ = false;
    started_ = clock_.steady_now();
    ++step_;
    if (is_terminal_) out_ << " • " << current_ << " ..." << std::flush;
    if (!ticker_.joinable()) ticker_ = std::thread([this] { tick(); });
  }
  changed_.notify_all();
}

void Progress::detail(std::string text) {
  const std::lock_guard lock(mutex_);
  detail_ = std::move(text);
}

void Progress::tick() {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    const long step = step_;
    const bool is_another =
        changed_.wait_for(lock, tick_, [&] { return is_ending_ || step_ != step || current_.empty(); });
    if (!is_another) show_running();
    // Between steps there is nothing to show.
    if (current_.empty()) changed_.wait(lock, [&] { return is_ending_ || !current_.empty(); });
  }
}

void Progress::show_running() {
  const SteadyTime now = clock_.steady_now();
  const std::string more = detail_.empty() ? "" : ": " + detail_;
  if (is_terminal_) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - started_).count();
    out_ << "\r\x1b[K" << in_a_row(fmt::format(" • {} ({} s){}", current_, seconds, more)) << std::flush;
    return;
  }
  if (is_shown_ && (detail_ == shown_detail_ || now - shown_at_ < plain_interval)) return;
  out_ << current_ << " ..." << more << '\n' << std::flush;
  is_shown_ = true;
  shown_detail_ = detail_;
  shown_at_ = now;
}

void Progress::done() { end("✓", "done"); }
void Progress::failed() { end("✗", "failed"); }

void Progress::end(std::string_view mark, std::string_view word) {
  const std::lock_guard lock(mutex_);
  if (current_.empty()) return;
  const auto taken =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady_now() - started_).count();
  if (is_terminal_)
    out_ << fmt::format("\r\x1b[K {} {} ({} ms)\n", mark, current_, taken) << std::flush;
  else
    out_ << fmt::format("{}: {} ({} ms)\n", current_, word, taken) << std::flush;
  current_.clear();
}

void Progress::note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const bool is_within = is_terminal_ && !current_.empty();
  if (is_within) out_ << "\r\x1b[K";
  out_ << text << '\n' << std::flush;
  if (is_within) out_ << " • " << current_ << " ..." << std::flush;
}

}  // namespace rusternetes::launcher
