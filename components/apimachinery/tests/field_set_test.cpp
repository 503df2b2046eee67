// Sets of fields against a table of what structured-merge-diff makes of them, in tests/field_sets.jsonl.
// FIELD_SET_CASES names a file with more.
#include "apimachinery/field_set.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

#include "apimachinery/json.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {
std::string print(const FieldSet& set) {
  std::string text;
  append_fields_v1(text, set);
  return text;
}
FieldSet parse(Arena& arena, std::string_view text) {
  auto set = parse_fields_v1(arena, text);
  REQUIRE(set);
  return *set;
}
}  // namespace

TEST_CASE("sets of fields do what structured-merge-diff's do") {
  const char* more = std::getenv("FIELD_SET_CASES");
  std::ifstream in(more ? more : RUSTERNETES_SOURCE_DIR "/components/apimachinery/tests/field_sets.jsonl");
  std::string line;
  int count = 0;
  while (std::getline(in, line)) {
    Arena arena;
    auto row = decode_json_any(arena, line);
    REQUIRE(row);
    ++count;
    auto text = [&](std::string_view name) { return row->lookup(name)->str(); };
    INFO(count << ": " << text("a") << " " << text("b"));
    auto a = parse_fields_v1(arena, text("a")), b = parse_fields_v1(arena, text("b"));
    if (const Value* bad = row->lookup("bad")) {
      CHECK((std::string(a ? "false" : "true") + " " + (b ? "false" : "true")) == bad->str());
      continue;
    }
    REQUIRE(a);
    REQUIRE(b);
    CHECK(equal(*a, *b) == row->lookup("same")->boolean);
    CHECK(print(*a) == text("text"));
    CHECK(print(unite(arena, *a, *b)) == text("union"));
    CHECK(print(intersect(arena, *a, *b)) == text("intersection"));
    CHECK(print(subtract(arena, *a, *b)) == text("difference"));
    CHECK(print(subtract_recursive(arena, *a, *b)) == text("recursive"));
    CHECK(print(leaves(arena, *a)) == text("leaves"));
    // What is written reads back as the same set.
    CHECK(equal(parse(arena, print(*a)), *a));
  }
  CHECK(count >= 50);
}

TEST_CASE("a set knows its members") {
  Arena arena;
  const FieldSet set =
      field_set_of(arena, {{"status"}, {"metadata", "labels"}, {"metadata"}, {"metadata", "labels"}});
  CHECK(print(set) == R"({"f:metadata":{".":{},"f:labels":{}},"f:status":{}})");
  CHECK(set.count() == 3);
  const PathElement labels[] = {PathElement::of_field("metadata"), PathElement::of_field("labels")};
  CHECK(set.has(labels));
  const PathElement spec[] = {PathElement::of_field("spec")};
  CHECK_FALSE(set.has(spec));
  CHECK_FALSE(set.has({}));
  CHECK(print({}) == "{}");
}

TEST_CASE("damaged sets of fields are refused") {
  for (std::string_view text : {"", "[]", "{", R"({"f:a")", R"({"f:a":{})", R"({"x":{}})", R"({"f:a":1})",
                                R"({"k:[":{}})", R"({"i:one":{}})", R"({"f:\u12":{}})", R"({"f:a":{},})"}) {
    Arena arena;
    INFO(text);
    CHECK_FALSE(parse_fields_v1(arena, text));
  }
  Arena arena;
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += R"({"f:a":)";
  CHECK_FALSE(parse_fields_v1(arena, deep));
}
