#pragma once
// "Did you mean": the candidate that a mistyped word is closest to.

#include <string>
#include <string_view>
#include <vector>

namespace rusternetes {

// Empty when none is within a third of the word's length (at least two) in insertions, deletions,
// replacements and swaps of neighbours. Case does not count.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace rusternetes
