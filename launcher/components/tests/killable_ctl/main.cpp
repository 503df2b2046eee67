// rusternetes-ctl that ends as by `kill -9` where a test wants it to. tests/e2e/test_killed.py runs it.
//
// A command is a row of stages: each begins with a point of the journal, but the first one, which begins with the
// command. So a place is found again in another run, though waiting loops have another number of points each time.
//   RUSTERNETES_KILL_AT=STAGE.POINT     ends at that point, or, if the stage has fewer, with its last one
//   RUSTERNETES_KILL_AT=STAGE.POINT+MS  so many milliseconds after it, in the middle of whatever it does then
//   RUSTERNETES_POINTS=FILE             at a normal end a line for each stage: how many points it had, and its name
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "launcher/components/program.h"

namespace {

using namespace rusternetes::launcher;

// Nothing of this process does anything after it: no destructor, no signal handler.
[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

class KillingHooks final : public Hooks {
 public:
  explicit KillingHooks(const char* where) {
    if (where == nullptr) return;
    is_armed_ = std::sscanf(where, "%zu.%zu+%d", &stage_, &point_, &delay_ms_) >= 2;
    if (is_armed_) return;
    std::fprintf(stderr, "RUSTERNETES_KILL_AT=%s is not STAGE.POINT[+MS]\n", where);
    std::exit(2);
  }

  void point(std::string_view name) override {
    const bool is_of_journal = name.starts_with("before journal ") || name.starts_with("after journal ");
    if (is_of_journal) stages_.push_back({std::string(name), 0});
    ++stages_.back().points;
    const std::size_t stage = stages_.size() - 1;
    if (!is_armed_ || stage < stage_ || (stage == stage_ && stages_.back().points < point_)) return;
    is_armed_ = false;
    const std::string text = std::string("killed at \"") + std::string(name) + "\"" +
                             (delay_ms_ > 0 ? " and " + std::to_string(delay_ms_) + " ms" : "") + "\n";
    (void)!::write(2, text.data(), text.size());
    if (delay_ms_ == 0) die();
    std::thread([delay = std::chrono::milliseconds(delay_ms_)] {
      std::this_thread::sleep_for(delay);
      die();
    }).detach();
  }

  void write(const char* file) const {
    if (file == nullptr) return;
    std::ofstream out(file);
    for (const Stage& stage : stages_) out << stage.points << " " << stage.name << "\n";
  }

 private:
  struct Stage {
    std::string name;
    std::size_t points;
  };
  std::vector<Stage> stages_{{"begin", 0}};
  bool is_armed_ = false;
  std::size_t stage_ = 0, point_ = 0;
  int delay_ms_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  KillingHooks hooks(std::getenv("RUSTERNETES_KILL_AT"));
  const int code = run_program_main(argc, argv, hooks);
  hooks.write(std::getenv("RUSTERNETES_POINTS"));
  return code;
}
