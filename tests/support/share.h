#pragma once
// How much of a long loop a test takes, and the seed of what is random in it: RUSTERNETES_TEST_SHARE and
// RUSTERNETES_TEST_SEED, as tests/README.md has them. Both are printed, so that a failure can be had again.

#include <cstdlib>
#include <iostream>
#include <random>
#include <string_view>
#include <vector>

namespace rusternetes::testing {

inline double share() {
  const char* text = std::getenv("RUSTERNETES_TEST_SHARE");
  return text != nullptr ? std::atof(text) : 0.1;
}

inline unsigned seed() {
  const char* text = std::getenv("RUSTERNETES_TEST_SEED");
  return text != nullptr ? static_cast<unsigned>(std::atoll(text)) : 1;
}

// How many of the `whole` rounds of a loop are run, at least one.
inline int rounds(std::string_view what, int whole) {
  const int count = static_cast<int>(whole * share() + 0.5);
  const int taken = count < 1 ? 1 : count > whole ? whole : count;
  std::cout << what << ": " << taken << " of " << whole << " rounds, share " << share() << ", seed " << seed()
            << std::endl;
  return taken;
}

// Which of the points 1..count are tried: all, or a random share of them, at least one.
inline std::vector<int> sample(std::string_view what, int count) {
  std::cout << what << ": " << count << ", share " << share() << ", seed " << seed() << std::endl;
  std::mt19937 random(seed());
  std::vector<int> out;
  for (int n = 1; n <= count; ++n)
    if (std::uniform_real_distribution<>(0, 1)(random) < share()) out.push_back(n);
  if (out.empty()) out.push_back((count + 1) / 2);
  return out;
}

}  // namespace rusternetes::testing
