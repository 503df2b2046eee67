#include "apimachinery/uid.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "apimachinery/hash.h"

using namespace rusternetes::apimachinery;

TEST_CASE("a uid is a random UUID of version 4") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uid = new_uid();
    REQUIRE(uid.size() == 36);
    for (const std::size_t at : {8, 13, 18, 23}) REQUIRE(uid[at] == '-');
    REQUIRE(uid[14] == '4');
    REQUIRE(std::string_view("89ab").find(uid[19]) != std::string_view::npos);
    REQUIRE(uid.find_first_not_of("0123456789abcdef-") == std::string::npos);
    seen.insert(uid);
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("a suffix draws evenly from the safe alphabet") {
  CHECK(random_suffix().size() == 5);
  CHECK(random_suffix(0).empty());
  std::map<char, int> counts;
  constexpr int draws = 27'000;
  for (const char c : random_suffix(draws)) ++counts[c];
  CHECK(counts.size() == kSafeAlphabet.size());
  for (const auto& [c, count] : counts) {  // expected 1,000 with a deviation of 31
    INFO(c);
    CHECK(kSafeAlphabet.find(c) != std::string_view::npos);
    CHECK(count > 750);
    CHECK(count < 1250);
  }
}
