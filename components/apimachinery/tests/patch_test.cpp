// Patches against tables of what Kubernetes' own libraries answer: one JSON object a line in
// tests/patches/*.jsonl, with the document, the change and the result or error. PATCH_CASES names a folder
// with more of them.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "apimachinery/any_patch.h"
#include "apimachinery/json.h"
#include "apimachinery/registry.h"
#include "apimachinery/strategic_patch.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

std::string print(const Value& any) {
  std::string text;
  encode_json_any(text, any);
  return text;
}

Result<Value> apply(Arena& arena, const Value& row) {
  const Value& document = *row.lookup("doc");
  const Value& change = *row.lookup("change");
  const std::string_view way = row.lookup("patch_type")->str();
  if (way == "json") return apply_json_patch(arena, document, arena.copy(print(change)));
  if (way == "merge") return apply_merge_patch(arena, document, change);
  const std::string_view name = row.lookup("kind")->str();
  const auto registry = Registry::builtin();
  const Kind* kind = registry->find_kind(name == "Deployment" ? "apps/v1" : "v1", name);
  REQUIRE(kind);
  return apply_strategic_patch(arena, document, change, *kind->type);
}

int check_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  int count = 0;
  while (std::getline(in, line)) {
    Arena arena;
    auto row = decode_json_any(arena, line);
    REQUIRE(row);
    const Value before = deep_copy(arena, *row);
    const auto result = apply(arena, *row);
    ++count;
    const Value* error = row->lookup("error");
    std::string got =
        result ? print(*result) : std::to_string(result.error().code) + " " + result.error().message;
    const std::string want =
        error ? std::to_string(row->lookup("code")->integer) + " " + std::string(error->str())
              : print(*row->lookup("result"));
    if (got != want) {
      INFO(path.filename().string() << ":" << count << "\n"
                                    << print(*row->lookup("doc")) << "\n"
                                    << print(*row->lookup("change")));
      CHECK(got == want);
    }
    // Inputs stay as they were.
    if (!equal(before, *row)) FAIL_CHECK("changed its input: " << line);
  }
  return count;
}

Value any(Arena& arena, std::string_view text) {
  auto value = decode_json_any(arena, text);
  REQUIRE(value);
  return *value;
}

std::string json_patch(std::string_view document, std::string_view patch) {
  Arena arena;
  auto result = apply_json_patch(arena, any(arena, document), patch);
  return result ? print(*result) : result.error().reason;
}

}  // namespace

TEST_CASE("patches give what Kubernetes' libraries give") {
  const char* more = std::getenv("PATCH_CASES");
  const std::filesystem::path folder =
      more ? more : RUSTERNETES_SOURCE_DIR "/components/apimachinery/tests/patches";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") count += check_file(entry.path());
  CHECK(count >= 150);
}

TEST_CASE("JSON patch follows RFC 6902 and kube-apiserver's freedoms") {
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"add","path":"/a/-","value":3}])") == R"({"a":[1,2,3]})");
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"add","path":"/a/1","value":null}])") ==
        R"({"a":[1,null,2]})");
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/-1"}])") == R"({"a":[1]})");
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"add","path":"/a/-3","value":0}])") == R"({"a":[0,1,2]})");
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"add","path":"/a/-4","value":0}])") == "Invalid");
  CHECK(json_patch(R"({"a":[1,2]})", R"([{"op":"add","path":"/a/3","value":0}])") == "Invalid");
  CHECK(json_patch(R"({"a":{"x/y":1,"~":2}})",
                   R"([{"op":"remove","path":"/a/x~1y"},{"op":"move","from":"/a/~0","path":"/a/z"}])") ==
        R"({"a":{"z":2}})");
  CHECK(json_patch(R"({})", R"([{"op":"replace","path":"/new","value":1}])") == R"({"new":1})");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"replace","path":"","value":{"b":2}}])") == R"({"b":2})");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"replace","path":"","value":3}])") == "Invalid");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"replace","value":{}}])") == "Invalid");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"test","path":"","value":{"a":1}}])") == R"({"a":1})");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"test","path":"/b","value":null}])") == R"({"a":1})");
  CHECK(json_patch(R"({"a":1})", R"([{"op":"test","path":"/a","value":1.0}])") == "Invalid");
  CHECK(json_patch(R"({"a":{"b":1}})",
                   R"([{"op":"copy","from":"/a","path":"/a/c"},{"op":"add","path":"/a/c/d","value":2}])") ==
        R"({"a":{"b":1,"c":{"b":1,"d":2}}})");
  CHECK(json_patch(R"({"a":1})", "null") == R"({"a":1})");
  CHECK(json_patch(R"({"a":1})", "{}") == "BadRequest");
}

TEST_CASE("a JSON patch cannot grow a document without bound") {
  std::string doubling = "[";
  for (int i = 0; i < 40; ++i) {
    if (i) doubling += ',';
    doubling += R"({"op":"copy","from":"/a","path":"/a/-"})";
  }
  CHECK(json_patch(R"({"a":["xxxxxxxxxxxxxxxx"]})", doubling + "]") == "Invalid");

  std::string deep = "[";
  for (int i = 0; i < 600; ++i) {
    const char* from = i % 2 ? "/b" : "/a";
    const char* to = i % 2 ? "/a" : "/b";
    deep +=
        fmt::format(R"({}{{"op":"add","path":"{}","value":{{}}}},{{"op":"move","from":"{}","path":"{}/x"}})",
                    i ? "," : "", to, from, to);
  }
  CHECK(json_patch(R"({"a":{}})", deep + "]") == "Invalid");

  std::string many = "[";
  for (std::size_t i = 0; i <= max_json_patch_operations; ++i) {
    if (i) many += ',';
    many += R"({"op":"test","path":""})";
  }
  Arena arena;
  auto refused = apply_json_patch(arena, any(arena, "{}"), many + "]");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == 413);
  CHECK(refused.error().message ==
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001");
}

TEST_CASE("malformed patches are told apart as kube-apiserver does") {
  struct Row {
    std::string_view patch, strict, loose;
  };
  const Row json_rows[] = {
      {R"({"a":1})",
       "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
       ""},
      {"[", "error decoding patch: unexpected end of JSON input", "unexpected end of JSON input"},
      {R"([{"op":1}])",
       "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type "
       "string",
       ""},
  };
  for (const auto& row : json_rows) {
    Arena arena;
    DecodeIssues issues;
    auto strict = apply_json_patch(arena, any(arena, "{}"), row.patch, &issues);
    REQUIRE_FALSE(strict);
    CHECK(strict.error().message == row.strict);
    auto loose = apply_json_patch(arena, any(arena, "{}"), row.patch);
    REQUIRE_FALSE(loose);
    if (!row.loose.empty()) CHECK(loose.error().message == row.loose);
  }
  const Row merge_rows[] = {
      {"null", "Invalid JSON Patch", "Invalid JSON Patch"},
      {"3",
       "error decoding patch: json: cannot unmarshal number into Go value of type map[string]interface {}",
       "Invalid JSON Patch"},
      {"{", "error decoding patch: unexpected end of JSON input", "Invalid JSON Patch"},
  };
  for (const auto& row : merge_rows) {
    Arena arena;
    DecodeIssues issues;
    auto strict = apply_merge_patch_text(arena, any(arena, "{}"), row.patch, &issues);
    REQUIRE_FALSE(strict);
    CHECK(strict.error().code == 400);
    CHECK(strict.error().message == row.strict);
    auto loose = apply_merge_patch_text(arena, any(arena, "{}"), row.patch, nullptr);
    REQUIRE_FALSE(loose);
    CHECK(loose.error().message == row.loose);
  }
  Arena arena;
  DecodeIssues issues;
  REQUIRE(apply_json_patch(
      arena, any(arena, R"({"a":1})"),
      R"([{"op":"test","path":"/a","value":1},{"op":"test","path":"/a","foo":1,"value":1,"value":1}])",
      &issues));
  CHECK(issues.messages == std::vector<std::string>{"json patch unknown field \"[1].foo\"",
                                                    "json patch duplicate field \"[1].value\""});
}

TEST_CASE("a field that the schema does not know cannot be merged by directive") {
  Arena arena;
  const Kind* kind = Registry::builtin()->find_kind("v1", "Namespace");
  auto result = apply_strategic_patch(arena, any(arena, R"({"metadata":{"name":"a"}})"),
                                      any(arena, R"({"$setElementOrder/foo":[]})"), *kind->type);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == 500);
  CHECK(result.error().message == "unable to find api field in struct Namespace for the json field \"foo\"");
  auto kept = apply_strategic_patch(arena, any(arena, R"({"metadata":{"name":"a"}})"),
                                    any(arena, R"({"foo":{"bar":null,"x":1}})"), *kind->type);
  REQUIRE(kept);
  CHECK(print(*kept) == R"({"foo":{"x":1},"metadata":{"name":"a"}})");
}
