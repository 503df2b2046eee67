#include "base/nearest.h"

#include <catch2/catch.hpp>

using rusternetes::nearest;

TEST_CASE("the nearest name is near, or none") {
  const std::vector<std::string> words{"create", "delete", "status", "start", "stop"};
  CHECK(nearest("craete", words) == "create");
  CHECK(nearest("strat", words) == "start");
  CHECK(nearest("satus", words) == "status");
  CHECK(nearest("RBAC", {"Node", "Rbac"}) == "Rbac");
  CHECK(nearest("kubernetes", words).empty());
  CHECK(nearest(std::string(100'000, 'x'), words).empty());
}
