#include "apimachinery/yaml.h"

#include <catch2/catch.hpp>

#include "apimachinery/api/core_v1.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

Result<Value> read(Arena& arena, const std::string& text, DecodeIssues* issues = nullptr) {
  return decode_yaml(arena, text, core_v1::ConfigMap::schema_type(), issues);
}

}  // namespace

TEST_CASE("an alias stands for its anchor's node") {
  Arena arena;
  const auto value = read(arena, "metadata: {name: m, labels: &l {a: b}, annotations: *l}\ndata: *l\n");
  REQUIRE(value);
  const core_v1::ConfigMap map(&*value);
  CHECK(map.data().get("a") == "b");
  CHECK(map.metadata().annotations().get("a") == "b");
}

TEST_CASE("aliases of aliases are refused before they fill the memory") {
  Arena arena;
  DecodeIssues issues;
  SECTION("in known and unknown fields") {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int level = 1; level <= 12; ++level) {
      const std::string before = "*a" + std::to_string(level - 1), name = "a" + std::to_string(level);
      text += name + ": &" + name + " [" + before;
      for (int i = 0; i < 9; ++i) text += ", " + before;
      text += "]\n";
    }
    const auto value = read(arena, text, &issues);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == 400);
    CHECK(value.error().message == "error converting YAML to JSON: yaml: document contains excessive aliasing");
  }
  SECTION("and large texts that are repeated") {
    std::string text = "metadata: {name: m}\nx: &x " + std::string(500'000, 'x') + "\ny: [";
    for (int i = 0; i < 10'000; ++i) text += "*x, ";
    text += "*x]\n";
    CHECK_FALSE(read(arena, text, &issues));
  }
}

TEST_CASE("numbers as YAML 1.1 writes them become JSON's") {
  Arena arena;
  for (const auto& [text, number] : std::vector<std::pair<std::string, std::int64_t>>{
           {"010", 8}, {"+7", 7}, {"0", 0}, {"12", 12}}) {
    INFO(text);
    const auto value = decode_yaml(arena, "spec: {replicas: 1, minReadySeconds: " + text + "}", apimachinery::core_v1::ReplicationController::schema_type(), nullptr);
    REQUIRE(value);
    CHECK(core_v1::ReplicationController(&*value).spec().minReadySeconds() == number);
  }
  // Too large, but nothing to end over.
  CHECK_FALSE(decode_yaml(arena, "spec: {replicas: 07777777777777777777777777}", core_v1::ReplicationController::schema_type(), nullptr));
}

TEST_CASE("what is nested too deeply is refused") {
  Arena arena;
  DecodeIssues issues;
  const auto value = read(arena, "x: " + std::string(150, '[') + std::string(150, ']'), &issues);
  REQUIRE_FALSE(value);
  CHECK(value.error().code == 400);
}
