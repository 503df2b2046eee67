#pragma once
// What bench_load can be asked for.

#include <string>

#include "base/status.h"
#include "load/fleet.h"

namespace rusternetes::bench {

struct Flags {
  std::string kubeconfig, folder, server, encoding = "json", prefix = "watched", name_space = "default", name,
                                          create;
  std::size_t from = 0, count = 1000, modulo = 10'000;
  FleetOptions fleet;
};

// The measurement as one line of JSON.
Result<std::string> run_word(const std::string& word, const Flags& flags);

}  // namespace rusternetes::bench
