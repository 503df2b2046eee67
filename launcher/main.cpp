// rusternetes-ctl
#include <cstring>

#include "launcher/components/program.h"
#include "launcher/hold.h"

int main(int argc, char** argv) {
  using namespace rusternetes::launcher;
  if (argc > 1 && std::strcmp(argv[1], hold_word) == 0) return run_hold(argc, argv);
  Hooks hooks;
  return run_program_main(argc, argv, hooks);
}
