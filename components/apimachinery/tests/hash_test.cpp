#include "apimachinery/hash.h"

#include <catch2/catch.hpp>

using namespace rusternetes::apimachinery;

TEST_CASE("FNV hashes have their published values") {
  CHECK(fnv1a_32("") == 0x811c9dc5);
  CHECK(fnv1a_32("a") == 0xe40c292c);
  CHECK(fnv1a_32("foobar") == 0xbf9cf968);
  CHECK(fnv1_32("a") == 0x050c5d7e);
  CHECK(fnv1_32("foobar") == 0x31f0b262);
  CHECK(fnv1a_32("bar", fnv1a_32("foo")) == fnv1a_32("foobar"));
  CHECK(fnv1a_32("\xFF") == ((0x811c9dc5U ^ 0xFF) * 16777619U));
}

TEST_CASE("a hash is encoded with characters that form no words") {
  CHECK(safe_encode("0123456789") == "456789bcdf");
  CHECK(safe_encode(2166136261U) == safe_encode("2166136261"));
  CHECK(safe_encode("") == "");
}
